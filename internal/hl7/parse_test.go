package hl7

import (
	"errors"
	"strings"
	"testing"
)

// lines makes a message of segments.
func lines(segments ...string) []byte { return []byte(strings.Join(segments, "\r")) }

const msh = `MSH|^~\&|LAB|HOSP|ABATON|CLINIC|20260101120000+0100||ORU^R01^ORU_R01|M1|P|2.5.1`

func TestParse(t *testing.T) {
	m, err := Parse(lines(msh, `PID|1||a^b&c~d^^^e||x\T\y`, `ZZZ`, ``))
	if err != nil {
		t.Fatal(err)
	}
	pid := m.First("PID")
	for _, c := range []struct {
		what, got, want string
	}{
		{"MSH-1", m.First("MSH").Field(1).text, "|"},
		{"MSH-2", m.First("MSH").Field(2).text, `^~\&`},
		{"MSH-10", m.Header().Control, "M1"},
		{"MSH-9.2", m.Header().Event, "R01"},
		{"PID-3.1", pid.Field(3).Text(), "a"},
		{"PID-3.2.1", pid.Field(3).Part(2).Text(), "b"},
		{"PID-3.2.2", pid.Field(3).Part(2).Sub(2).Text(), "c"},
		{"second PID-3.4", pid.Field(3).Each()[1].Part(4).Text(), "e"},
		{"escaped", pid.Field(5).Text(), "x&y"},
		{"past the end", pid.Field(99).Text(), ""},
		{"no part", pid.Field(3).Part(9).Text(), ""},
		{"absent segment", m.First("OBX").Field(3).Part(2).Sub(4).Text(), ""},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %q, want %q", c.what, c.got, c.want)
		}
	}
	if got := len(m.Segments()); got != 3 {
		t.Errorf("segments: got %d, want 3", got)
	}
}

func TestParseOtherMarks(t *testing.T) {
	m, err := Parse([]byte("MSH#*!?@#LAB#HOSP#A#B#20260101##ADT*A08#M1#P#2.7\nPID#1##a*b@c!d\r\nPV1#1"))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.First("PID").Field(3).Part(2).Sub(2).Text(); got != "c" {
		t.Errorf("sub-component: got %q, want c", got)
	}
	if got := len(m.Segments()); got != 3 {
		t.Errorf("segments: got %d, want 3 whatever ends a line", got)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		raw    []byte
		reason Reason
	}{
		"nothing":              {nil, ReasonSyntax},
		"no MSH":               {lines("PID|1"), ReasonSyntax},
		"no marks":             {[]byte("MSH|"), ReasonSyntax},
		"three marks":          {[]byte(`MSH|^~\|A|B|C`), ReasonSyntax},
		"one mark twice":       {[]byte(`MSH|^^\&|A|B|C`), ReasonSyntax},
		"a letter as mark":     {[]byte(`MSHa^~\&aAaBaC`), ReasonSyntax},
		"no segment":           {lines(msh, "this is none"), ReasonSyntax},
		"lower case":           {lines(msh, "pid|1"), ReasonSyntax},
		"second MSH":           {lines(msh, msh), ReasonSyntax},
		"a zero byte":          {lines(msh, "PID|1||a\x00b"), ReasonSyntax},
		"no UTF-8":             {lines(msh, "PID|1||caf\xe9"), ReasonCharset},
		"ASCII that is none":   {lines(msh+"||||||ASCII", "PID|1||café"), ReasonCharset},
		"unknown charset":      {lines(msh+"||||||KOI8-R", "PID|1"), ReasonCharset},
		"segment bomb":         {[]byte(msh + strings.Repeat("\rNTE|1", SegmentsMax)), ReasonTooLarge},
		"field bomb":           {lines(msh, "PID"+strings.Repeat("|", FieldsMax+1)), ReasonTooLarge},
		"repetition bomb":      {lines(msh, "PID|1||"+strings.Repeat("~", RepetitionsMax)), ReasonTooLarge},
		"component bomb":       {lines(msh, "PID|1||"+strings.Repeat("^", ComponentsMax)), ReasonTooLarge},
		"sub-component bomb":   {lines(msh, "PID|1||"+strings.Repeat("&", ComponentsMax*ComponentsMax)), ReasonTooLarge},
		"more than a message":  {append([]byte(msh), make([]byte, MessageBytesMax)...), ReasonTooLarge},
		"marks without an end": {[]byte(`MSH|^~\&~^`), ReasonSyntax},
	} {
		_, err := Parse(c.raw)
		if r, ok := errors.AsType[*Refusal](err); !ok || r.Reason != c.reason {
			t.Errorf("%s: got %v, want %s", name, err, c.reason)
		}
	}
}

func TestCharsets(t *testing.T) {
	for _, c := range []struct{ charset, raw, want string }{
		{"", "café", "café"}, {"UNICODE UTF-8", "café", "café"}, {"8859/1", "caf\xe9", "café"}, {"8859/15", "\xa4 caf\xe9", "€ café"},
		{"8859/1~UNICODE UTF-8", "caf\xe9", "café"}, {"ASCII", "cafe", "cafe"},
	} {
		m, err := Parse(lines(msh+"||||||"+c.charset, "NTE|1||"+c.raw))
		if err != nil {
			t.Errorf("%s: %v", c.charset, err)
			continue
		}
		if got := m.First("NTE").Field(3).Text(); got != c.want {
			t.Errorf("%s: got %q, want %q", c.charset, got, c.want)
		}
	}
}

func TestEscapes(t *testing.T) {
	k := marks{field: '|', component: '^', repetition: '~', escape: '\\', sub: '&', truncation: '#'}
	for in, want := range map[string]string{
		`a\F\b\S\c\T\d\R\e\E\f\P\`: `a|b^c&d~e\f#`, `\H\bold\N\`: "bold", `one\.br\two`: "one\ntwo", `a\X0D\b`: "a\nb", `caf\XC3A9\`: "café",
		`\X1B\x`: "x", `\XFF\`: `\XFF\`, `\unknown\`: `\unknown\`, `open\`: `open\`, `c:\dir\T\x`: `c:\dir&x`, ``: ``,
	} {
		if got := unescape(in, k); got != want {
			t.Errorf("unescape(%q): got %q, want %q", in, got, want)
		}
	}
}

func TestTimes(t *testing.T) {
	for _, c := range []struct{ in, dateTime, date, instant string }{
		{"2026", "2026", "2026", ""}, {"202601", "2026-01", "2026-01", ""}, {"20260131", "2026-01-31", "2026-01-31", ""},
		{"2026013112", "2026-01-31", "2026-01-31", ""}, {"202601311230", "2026-01-31T12:30:00Z", "2026-01-31", "2026-01-31T12:30:00Z"},
		{"20260131123059+0100", "2026-01-31T12:30:59+01:00", "2026-01-31", "2026-01-31T12:30:59+01:00"},
		{"20260131123059.1234-0500", "2026-01-31T12:30:59.1234-05:00", "2026-01-31", "2026-01-31T12:30:59.1234-05:00"},
		{"20260231", "", "", ""}, {"", "", "", ""}, {"yesterday", "", "", ""}, {"20260131+01", "", "", ""}, {"202601311", "", "", ""},
		{"20260131123059.", "2026-01-31T12:30:59Z", "2026-01-31", "2026-01-31T12:30:59Z"},
	} {
		if got := dateTime(c.in, nil); got != c.dateTime {
			t.Errorf("dateTime(%q): got %q, want %q", c.in, got, c.dateTime)
		}
		if got := date(c.in); got != c.date {
			t.Errorf("date(%q): got %q, want %q", c.in, got, c.date)
		}
		if got := instant(c.in, nil); got != c.instant {
			t.Errorf("instant(%q): got %q, want %q", c.in, got, c.instant)
		}
	}
	for in, want := range map[string]string{"1230": "12:30:00", "123059": "12:30:59", "2561": "", "": "", "12": ""} {
		if got := clockTime(in); got != want {
			t.Errorf("clockTime(%q): got %q, want %q", in, got, want)
		}
	}
}

func TestLiterals(t *testing.T) {
	for in, want := range map[string]number{
		"1": "1", "+05.40": "5.40", "-.5": "-0.5", "0": "0", "007": "7", "1.": "1", "": "", "-": "", ".": "", "1e5": "", "1,5": "", "0.10": "0.10",
		strings.Repeat("9", 41): "",
	} {
		if got := literal(in); got != want {
			t.Errorf("literal(%q): got %q, want %q", in, got, want)
		}
	}
}
