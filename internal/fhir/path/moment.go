package path

import (
	"fmt"
	"strings"
	"time"
)

type momentKind uint8

const (
	noMoment momentKind = iota
	dateMoment
	dateTimeMoment
	timeMoment
)

func (k momentKind) String() string {
	return [...]string{"", "Date", "DateTime", "Time"}[k]
}

// Precisions of a Moment: how many of its parts are given.
const (
	toYear = 1 + iota
	toMonth
	toDay
	toHour
	toMinute
	toSecond
	toFraction
)

// A Moment is a date, a dateTime or a time with the precision it was written
// with.
type Moment struct {
	kind      momentKind
	precision int
	parts     [6]int // year to second
	nanos     int
	digits    int  // of the fraction, as written
	zoned     bool // an offset is given
	offset    int  // minutes east
}

// literalKind is the kind of a literal by its form.
func literalKind(s string) momentKind {
	switch {
	case strings.HasPrefix(s, "T"):
		return timeMoment
	case strings.Contains(s, "T"):
		return dateTimeMoment
	}
	return dateMoment
}

// scanner of fixed-width numbers.
type scanner struct {
	s  string
	ok bool
}

func (c *scanner) digits(n, low, high int) int {
	if !c.ok || len(c.s) < n {
		c.ok = false
		return 0
	}
	v := 0
	for i := range n {
		if !digit(c.s[i]) {
			c.ok = false
			return 0
		}
		v = v*10 + int(c.s[i]-'0')
	}
	c.s = c.s[n:]
	c.ok = v >= low && v <= high
	return v
}

func (c *scanner) mark(b byte) bool {
	if c.ok && len(c.s) > 0 && c.s[0] == b {
		c.s = c.s[1:]
		return true
	}
	return false
}

// parseMoment reads the text of a FHIR date, dateTime, instant or time, or of
// a literal without its @.
func parseMoment(s string, kind momentKind) (m Moment, ok bool) {
	m.kind = kind
	c := &scanner{s, true}
	if kind == timeMoment {
		c.mark('T')
		m.clock(c)
		return m, c.ok && c.s == "" && m.precision >= toHour
	}
	m.parts[0], m.precision = c.digits(4, 1, 9999), toYear
	if c.mark('-') {
		m.parts[1], m.precision = c.digits(2, 1, 12), toMonth
		if c.mark('-') {
			m.parts[2], m.precision = c.digits(2, 1, 31), toDay
			if c.ok && m.parts[2] > daysIn(m.parts[0], m.parts[1]) {
				return m, false
			}
		}
	}
	if kind == dateTimeMoment && c.mark('T') && c.s != "" {
		if m.precision < toDay {
			return m, false // hours of no day
		}
		m.clock(c)
		m.zone(c)
	}
	return m, c.ok && c.s == ""
}

func (m *Moment) clock(c *scanner) {
	m.parts[3], m.precision = c.digits(2, 0, 23), toHour
	if !c.mark(':') {
		return
	}
	m.parts[4], m.precision = c.digits(2, 0, 59), toMinute
	if !c.mark(':') {
		return
	}
	m.parts[5], m.precision = c.digits(2, 0, 60), toSecond
	if !c.mark('.') {
		return
	}
	m.precision = toFraction
	scale := 100_000_000
	for len(c.s) > 0 && digit(c.s[0]) {
		m.nanos += int(c.s[0]-'0') * scale
		scale /= 10
		m.digits++
		c.s = c.s[1:]
	}
	c.ok = c.ok && m.digits > 0
}

func (m *Moment) zone(c *scanner) {
	if c.s == "" {
		return
	}
	m.zoned = true
	if c.mark('Z') {
		return
	}
	sign := 1
	if !c.mark('+') {
		sign = -1
		if !c.mark('-') {
			c.ok = false
			return
		}
	}
	hours := c.digits(2, 0, 14)
	c.ok = c.ok && c.mark(':')
	m.offset = sign * (hours*60 + c.digits(2, 0, 59))
}

func daysIn(year, month int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

func (m Moment) String() string {
	var b strings.Builder
	if m.kind != timeMoment {
		fmt.Fprintf(&b, "%04d", m.parts[0])
		if m.precision >= toMonth {
			fmt.Fprintf(&b, "-%02d", m.parts[1])
		}
		if m.precision >= toDay {
			fmt.Fprintf(&b, "-%02d", m.parts[2])
		}
		if m.precision >= toHour {
			b.WriteByte('T')
		}
	}
	for i, part := range m.parts[3:] {
		if m.precision >= toHour+i {
			if i > 0 {
				b.WriteByte(':')
			}
			fmt.Fprintf(&b, "%02d", part)
		}
	}
	if m.precision == toFraction {
		b.WriteByte('.')
		b.WriteString(fmt.Sprintf("%09d", m.nanos)[:min(max(m.digits, 1), 9)])
	}
	switch {
	case !m.zoned:
	case m.offset == 0:
		b.WriteByte('Z')
	default:
		sign, o := '+', m.offset
		if o < 0 {
			sign, o = '-', -o
		}
		fmt.Fprintf(&b, "%c%02d:%02d", sign, o/60, o%60)
	}
	return b.String()
}

// utc is the moment at offset zero, if it has an offset and an hour.
func (m Moment) utc() Moment {
	if !m.zoned || m.offset == 0 || m.precision < toHour {
		return m
	}
	t := m.time().Add(-time.Duration(m.offset) * time.Minute)
	out := m
	out.offset = 0
	out.set(t)
	return out
}

func (m Moment) time() time.Time {
	p := m.parts
	return time.Date(p[0], time.Month(max(p[1], 1)), max(p[2], 1), p[3], p[4], p[5], m.nanos, time.UTC)
}

func (m *Moment) set(t time.Time) {
	m.parts = [6]int{t.Year(), int(t.Month()), t.Day(), t.Hour(), t.Minute(), t.Second()}
	m.nanos = t.Nanosecond()
}

// compare orders two moments; known is false if their precisions do not tell
// (FHIRPath 2.0, section 6.2). Seconds and fractions are one precision.
func (m Moment) compare(o Moment) (order int, known bool) {
	if (m.kind == timeMoment) != (o.kind == timeMoment) {
		return 0, false
	}
	if m.precision >= toHour && o.precision >= toHour && m.kind != timeMoment {
		if m.zoned != o.zoned {
			return 0, false
		}
		m, o = m.utc(), o.utc()
	}
	first := 0
	if m.kind == timeMoment {
		first = 3
	}
	for i := first; i < 6; i++ {
		a, b := m.precision > i, o.precision > i
		if !a || !b {
			return 0, a == b
		}
		if m.parts[i] != o.parts[i] {
			return sign(m.parts[i] - o.parts[i]), true
		}
	}
	return sign(m.nanos - o.nanos), true
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}

// plus adds a number of calendar units; ok is false if the unit means nothing
// here or the year leaves 1 to 9999.
func (m Moment) plus(n int64, unit string) (out Moment, ok bool) {
	if n > 1e9 || n < -1e9 {
		return m, false
	}
	out = m
	months := map[string]int64{"year": 12, "month": 1}[unit] * n
	if m.kind == timeMoment {
		if months != 0 || unit == "day" || unit == "week" {
			return m, false
		}
		out.parts[0], out.parts[1], out.parts[2] = 2000, 1, 1
	}
	if months != 0 {
		total := int64(m.parts[0])*12 + int64(max(m.parts[1], 1)-1) + months
		out.parts[0], out.parts[1] = int(total/12), int(total%12)+1
		if out.parts[0] < 1 || out.parts[0] > 9999 {
			return m, false
		}
		if m.precision < toMonth {
			out.parts[1] = 0
		} else if m.precision >= toDay {
			out.parts[2] = min(m.parts[2], daysIn(out.parts[0], out.parts[1]))
		}
		return out, true
	}
	return out.shift(n, unit)
}

// shift adds units of fixed length, cut to the precision of m as the language
// says: 30 days to a month for a moment without days.
func (m Moment) shift(n int64, unit string) (Moment, bool) {
	length := map[string]time.Duration{"week": 7 * 24 * time.Hour, "day": 24 * time.Hour, "hour": time.Hour,
		"minute": time.Minute, "second": time.Second, "millisecond": time.Millisecond}[unit]
	if length == 0 {
		return m, n == 0
	}
	if float64(n)*float64(length) > 9e18 || float64(n)*float64(length) < -9e18 {
		return m, false
	}
	total := time.Duration(n) * length
	switch {
	case m.kind != timeMoment && m.precision < toMonth:
		return m.plus(int64(total/(365*24*time.Hour)), "year")
	case m.kind != timeMoment && m.precision < toDay:
		return m.plus(int64(total/(30*24*time.Hour)), "month")
	case m.precision < toHour:
		total = total.Truncate(24 * time.Hour)
	case m.precision == toHour:
		total = total.Truncate(time.Hour)
	case m.precision == toMinute:
		total = total.Truncate(time.Minute)
	case m.precision == toSecond && total%time.Second != 0:
		m.precision, m.digits = toFraction, 3
	}
	t := m.time().Add(total)
	if t.Year() < 1 || t.Year() > 9999 {
		return m, false
	}
	out := m
	out.set(t)
	if m.kind == timeMoment {
		out.parts[0], out.parts[1], out.parts[2] = 0, 0, 0
	}
	return out, true
}

// momentOf is a time as now() gives it.
func momentOf(t time.Time, kind momentKind) Moment {
	m := Moment{kind: kind, precision: toFraction, digits: 3}
	_, offset := t.Zone()
	m.set(t)
	m.nanos -= m.nanos % 1_000_000
	switch kind {
	case dateMoment:
		m.precision, m.digits, m.nanos = toDay, 0, 0
		m.parts[3], m.parts[4], m.parts[5] = 0, 0, 0
	case timeMoment:
		m.parts[0], m.parts[1], m.parts[2] = 0, 0, 0
	default:
		m.zoned, m.offset = true, offset/60
	}
	return m
}

// IsDate reports whether s is a FHIR date.
func IsDate(s string) bool { _, ok := parseMoment(s, dateMoment); return ok }

// IsTime reports whether s is a FHIR time: to the second at least.
func IsTime(s string) bool {
	m, ok := parseMoment(s, timeMoment)
	return ok && m.precision >= toSecond && s[0] != 'T'
}

// IsDateTime reports whether s is a FHIR dateTime: with a time it has seconds
// and a zone.
func IsDateTime(s string) bool {
	m, ok := parseMoment(s, dateTimeMoment)
	return ok && (m.precision <= toDay && !strings.Contains(s, "T") || m.precision >= toSecond && m.zoned)
}

// IsInstant reports whether s is a FHIR instant.
func IsInstant(s string) bool {
	m, ok := parseMoment(s, dateTimeMoment)
	return ok && m.precision >= toSecond && m.zoned
}
