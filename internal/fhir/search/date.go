package search

import (
	"math"
	"time"

	"github.com/abaton-health/abaton/internal/fhir"
)

// Times are microseconds since 1970-01-01T00:00Z. These stand for a period
// without a beginning or an end.
const (
	always = math.MinInt64
	never  = math.MaxInt64
)

// spanOf is the time an element covers, from included, to not
// (FHIR R4, search.html#date).
func spanOf(element string, v fhir.Value) (from, to int64, ok bool) {
	switch element {
	case "Period":
		return periodOf(v)
	case "Timing":
		return timingOf(v)
	}
	return span(v.TextBytes())
}

// periodOf is open on the side that is not given.
func periodOf(v fhir.Value) (from, to int64, ok bool) {
	from, to = always, never
	start, _, okStart := span(v.Get("start").TextBytes())
	_, end, okEnd := span(v.Get("end").TextBytes())
	if okStart {
		from = start
	}
	if okEnd {
		to = end
	}
	return from, to, okStart || okEnd
}

// timingOf is from the first to the last the timing names: how often in
// between does not matter.
func timingOf(v fhir.Value) (from, to int64, ok bool) {
	from, to = never, always
	for event := range v.Get("event").Each() {
		if a, b, is := span(event.TextBytes()); is {
			from, to, ok = min(from, a), max(to, b), true
		}
	}
	if a, b, is := periodOf(v.Path("repeat", "boundsPeriod")); is {
		from, to, ok = min(from, a), max(to, b), true
	}
	return from, to, ok
}

// span is what a FHIR date, dateTime or instant covers by its precision. A
// time without a zone is taken as UTC; a blank stands for the plus sign that a
// client forgot to encode.
func span(s []byte) (from, to int64, ok bool) {
	d := clock{text: s}
	year := d.digits(4)
	month, day := 1, 1
	precision := 'y'
	if d.next('-') {
		month, precision = d.digits(2), 'm'
		if d.next('-') {
			day, precision = d.digits(2), 'd'
		}
	}
	if d.bad || year < 1 || month < 1 || month > 12 || day < 1 || day > monthDays(year, month) {
		return 0, 0, false
	}
	from = days(year, month, day) * dayMicros
	if precision == 'd' && d.next('T') {
		return d.time(from)
	}
	if !d.end() {
		return 0, 0, false
	}
	switch precision {
	case 'y':
		return from, days(year+1, 1, 1) * dayMicros, true
	case 'm':
		if month++; month > 12 {
			year, month = year+1, 1
		}
		return from, days(year, month, 1) * dayMicros, true
	}
	return from, from + dayMicros, true
}

const (
	secondMicros = int64(time.Second / time.Microsecond)
	dayMicros    = 24 * 3600 * secondMicros
)

// A clock reads a date from left to right; what does not fit makes it bad.
type clock struct {
	text []byte
	bad  bool
}

func (d *clock) end() bool { return !d.bad && len(d.text) == 0 }

func (d *clock) next(b byte) bool {
	if d.bad || len(d.text) == 0 || d.text[0] != b {
		return false
	}
	d.text = d.text[1:]
	return true
}

func (d *clock) digits(n int) (value int) {
	if len(d.text) < n {
		d.bad = true
		return 0
	}
	for _, b := range d.text[:n] {
		if b-'0' > 9 {
			d.bad = true
			return 0
		}
		value = value*10 + int(b-'0')
	}
	d.text = d.text[n:]
	return value
}

// time reads the rest of a dateTime on a day.
func (d *clock) time(day int64) (from, to int64, ok bool) {
	hour := d.digits(2)
	if !d.next(':') {
		return 0, 0, false
	}
	minute, second, length := d.digits(2), 0, 60*secondMicros
	if d.next(':') {
		second, length = d.digits(2), secondMicros
	}
	if d.bad || hour > 24 || minute > 59 || second > 60 || hour == 24 && (minute > 0 || second > 0) {
		return 0, 0, false
	}
	from = day + (int64(hour)*3600+int64(minute)*60+int64(second))*secondMicros
	if length == secondMicros && d.next('.') {
		unit := secondMicros
		read := 0
		for len(d.text) > 0 && d.text[0]-'0' < 10 {
			if digit := int64(d.digits(1)); unit > 1 {
				unit /= 10
				from += digit * unit
			}
			read++
		}
		if length = unit; read == 0 {
			return 0, 0, false
		}
	}
	offset, ok := d.zone()
	if !ok {
		return 0, 0, false
	}
	from -= offset
	return from, from + length, true
}

func (d *clock) zone() (offset int64, ok bool) {
	if d.next('Z') || d.end() {
		return 0, d.end()
	}
	sign := int64(1)
	if d.next('-') {
		sign = -1
	} else if !d.next('+') && !d.next(' ') {
		return 0, false
	}
	hours := d.digits(2)
	if !d.next(':') {
		return 0, false
	}
	minutes := d.digits(2)
	if !d.end() || hours > 14 || minutes > 59 {
		return 0, false
	}
	return sign * int64(hours*60+minutes) * 60 * secondMicros, true
}

func monthDays(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// days since 1970-01-01 in the proleptic Gregorian calendar: years begin in
// March, so that the leap day is the last.
func days(year, month, day int) int64 {
	if month <= 2 {
		year, month = year-1, month+12
	}
	years := int64(year)
	return 365*years + years/4 - years/100 + years/400 + int64((153*(month-3)+2)/5+day-1) - 719468
}

// Instant is the first moment of a FHIR date, dateTime or instant.
func Instant(s string) (time.Time, bool) {
	from, _, ok := span([]byte(s))
	return time.UnixMicro(from).UTC(), ok
}
