package hl7

import (
	"strings"
	"testing"
	"time"
)

var at = time.Date(2026, 1, 1, 12, 0, 0, 0, time.FixedZone("", 3600))

func headerFrom(t *testing.T, head string) Header {
	t.Helper()
	m, err := Parse([]byte(head))
	if err != nil {
		t.Fatal(err)
	}
	return m.Header()
}

func TestAcknowledge(t *testing.T) {
	got := strings.Split(string(Acknowledge(headerFrom(t, msh), Answer{Code: "AA"}, at)), "\r")
	if want := `MSH|^~\&|ABATON|CLINIC|LAB|HOSP|20260101120000.000+0100||ACK^R01^ACK|`; !strings.HasPrefix(got[0], want) || !strings.HasSuffix(got[0], "|P|2.5.1") {
		t.Errorf("MSH: got %q, want it to begin %q", got[0], want)
	}
	if got[1] != "MSA|AA|M1" || len(got) != 3 || got[2] != "" {
		t.Errorf("got %q, want MSA|AA|M1 and no more", got[1:])
	}
	again := Acknowledge(headerFrom(t, msh), Answer{Code: "AA"}, at)
	if m, err := Parse(again); err != nil || Answers(m) != "M1" || m.Header().Control == "" {
		t.Errorf("it does not read back: %v", err)
	}
}

// TestSetAsideIsAcceptedWithAWarning: what is kept for people is answered AA,
// so that an engine goes on, and says why.
func TestSetAsideIsAcceptedWithAWarning(t *testing.T) {
	m, err := Parse(Acknowledge(headerFrom(t, msh), Answer{Code: "AA", Reason: ReasonPatient, Text: "kept"}, at))
	if err != nil {
		t.Fatal(err)
	}
	e := m.First("ERR")
	if e.Field(3).Text() != "204" || e.Field(4).Text() != "W" || e.Field(5).Text() != "unknown-patient" {
		t.Errorf("ERR: got %q, %q, %q, want 204, W, unknown-patient", e.Field(3).Text(), e.Field(4).Text(), e.Field(5).Text())
	}
	m, err = Parse(Acknowledge(Header{}, Answer{Code: "AR", Reason: ReasonSyntax}, at))
	if err != nil || m.First("MSA").Field(1).Text() != "AR" || m.First("ERR").Field(4).Text() != "E" {
		t.Errorf("to what is no message: got %v, %+v", err, m)
	}
}

func TestEnhancedMode(t *testing.T) {
	for accept, want := range map[string][2]bool{"AL": {true, true}, "NE": {false, false}, "ER": {false, true}, "SU": {true, false}} {
		h := headerFrom(t, msh+"|||"+accept+"|NE")
		if !h.Enhanced() {
			t.Errorf("%s: want enhanced mode", accept)
		}
		if got := [2]bool{h.Wanted(Answer{Code: "AA"}), h.Wanted(Answer{Code: "AE"})}; got != want {
			t.Errorf("%s: wanted %v, want %v", accept, got, want)
		}
		m, err := Parse(Acknowledge(h, Answer{Code: "AE"}, at))
		if err != nil || m.First("MSA").Field(1).Text() != "CE" {
			t.Errorf("%s: got %v, want CE", accept, err)
		}
	}
	if headerFrom(t, msh).Enhanced() {
		t.Error("without MSH-15 and MSH-16: got enhanced mode, want original")
	}
}

func TestEveryReasonHasACode(t *testing.T) {
	for _, r := range Reasons() {
		if number, text := errorCode(r); number == "" || text == "" {
			t.Errorf("%s has no code of table 0357", r)
		}
	}
}
