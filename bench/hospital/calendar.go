package main

// Times are milliseconds since 1970, UTC, as the generator and the loop use
// them; a keeper's watch gets seconds.
const (
	second = int64(1000)
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour
)

// The simulated time begins on Monday 12 October 2026, 00:00 in Amsterdam. On
// day 13, a Sunday, clocks go back from three to two: that night has nine hours.
const (
	beginning  = int64(1_791_756_000) * second
	clocksBack = 13
)

// clock is an hour of the wall clock on a day, as a time. Hours may go beyond
// 24. From 03:00 on clocksBack the same wall clock is an hour later.
func clock(d int, h float64) int64 {
	at := beginning + int64(d)*day + int64(h*float64(hour))
	if d > clocksBack || d == clocksBack && h >= 3 || d == clocksBack-1 && h >= 27 {
		at += hour
	}
	return at
}

// weekend says that most of the hospital is closed.
func weekend(d int) bool { return d%7 >= 5 }

// calm says that nothing out of the ordinary happens on a day.
func calm(d int) bool { return d != casualtyDay && d != outageDay }

// Days that every long enough run has.
const (
	casualtyDay = 17 // three times the emergencies in six hours
	outageDay   = 20 // from nine to twelve the feed tells nothing, then all at once
)
