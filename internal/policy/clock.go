package policy

import (
	"regexp"
	"time"
)

// clock is the local time that a text names with @clock: an offset from UTC and
// a rule for summer time. Every keeper must come to the same minute, so no
// machine's own time zone tables are asked. The zero clock is UTC.
type clock struct {
	offset int64 // seconds east of UTC in winter
	summer string
}

var clockPattern = regexp.MustCompile(`^([+-])(0[0-9]|1[0-4]):(00|15|30|45)(?: (eu|us))?$`)

// parseClock reads "+01:00", "+01:00 eu" or "-05:00 us".
func parseClock(text string) (c clock, ok bool) {
	m := clockPattern.FindStringSubmatch(text)
	if m == nil {
		return c, false
	}
	hours, minutes := int64(m[2][0]-'0')*10+int64(m[2][1]-'0'), int64(m[3][0]-'0')*10+int64(m[3][1]-'0')
	c.offset = hours*3600 + minutes*60
	if m[1] == "-" {
		c.offset = -c.offset
	}
	c.summer = m[4]
	return c, true
}

// local is the minute of the day, 0 to 1439, and the day of the week, 1 Monday
// to 7 Sunday, at a time in unix seconds.
func (c clock) local(now int64) (minute, weekday int64) {
	at := now + c.offset
	if c.inSummer(now) {
		at += 3600
	}
	t := time.Unix(at, 0).UTC()
	weekday = int64(t.Weekday())
	if weekday == 0 {
		weekday = 7
	}
	return int64(t.Hour()*60 + t.Minute()), weekday
}

// inSummer: in the European Union from the last Sunday of March to the last of
// October, at 01:00 UTC (Directive 2000/84/EC); in the United States from the
// second Sunday of March to the first of November, at 02:00 local time (15
// U.S.C. 260a).
func (c clock) inSummer(now int64) bool {
	year := time.Unix(now+c.offset, 0).UTC().Year()
	switch c.summer {
	case "eu":
		return now >= sunday(year, time.March, 31)+3600 && now < sunday(year, time.October, 31)+3600
	case "us":
		begins, ends := sunday(year, time.March, 14)+2*3600, sunday(year, time.November, 7)+3600
		return now+c.offset >= begins && now+c.offset < ends
	}
	return false
}

// sunday is the last Sunday at or before that day, at midnight.
func sunday(year int, month time.Month, day int) int64 {
	t := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	return t.AddDate(0, 0, -int(t.Weekday())).Unix()
}
