package session_test

import (
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

func request(id abaton.SessionID) *session.Request {
	return &session.Request{
		V: wire.Version, Session: id, Patient: abaton.ActorID{1}, Grant: abaton.GrantID{2}, Mode: session.Release,
		Purpose: abaton.Treatment, Rows: []session.Row{{Batch: abaton.BatchName{1}, Bits: 3}, {Batch: abaton.BatchName{2}, Bits: 1}},
		Time: start.Unix(), Nonce: [16]byte{4},
	}
}

func manyRows(n int) []session.Row {
	rows := make([]session.Row, n)
	for i := range rows {
		rows[i] = session.Row{Batch: abaton.BatchName{1, byte(i)}, Bits: 1}
	}
	return rows
}

func TestRequest(t *testing.T) {
	a := newActors(t, actor.Patient, actor.Synced)
	s := a.session(a.statement())
	line := abaton.Line{1}
	tests := []struct {
		name   string
		change func(*session.Request)
		want   abaton.Reason
	}{
		{"release", func(*session.Request) {}, ""},
		{"permit", func(r *session.Request) { r.Mode = session.Permit }, ""},
		{"index", func(r *session.Request) { r.Mode = session.Index }, ""},
		{"list", func(r *session.Request) {
			r.Mode, r.Rows, r.Lines, r.Cursor = session.List, nil, []abaton.Line{line}, 9
		}, ""},
		{"history", func(r *session.Request) { r.Mode, r.Rows, r.Cursor = session.History, nil, 9 }, ""},
		{"64 rows", func(r *session.Request) { r.Rows = manyRows(abaton.RequestRowsMax) }, ""},
		{"65 rows", func(r *session.Request) { r.Rows = manyRows(abaton.RequestRowsMax + 1) }, abaton.ReasonTooLarge},
		{"version", func(r *session.Request) { r.V = 0 }, abaton.ReasonMalformed},
		{"no session", func(r *session.Request) { r.Session = abaton.SessionID{} }, abaton.ReasonMalformed},
		{"no patient", func(r *session.Request) { r.Patient = abaton.ActorID{} }, abaton.ReasonMalformed},
		{"no mode", func(r *session.Request) { r.Mode = 0 }, abaton.ReasonMalformed},
		{"unknown mode", func(r *session.Request) { r.Mode = 10 }, abaton.ReasonMalformed},
		{"no purpose", func(r *session.Request) { r.Purpose = "" }, abaton.ReasonMalformed},
		{"unknown purpose", func(r *session.Request) { r.Purpose = "CURIOUS" }, abaton.ReasonMalformed},
		{"no nonce", func(r *session.Request) { r.Nonce = [16]byte{} }, abaton.ReasonMalformed},
		{"before time began", func(r *session.Request) { r.Time = -1 }, abaton.ReasonMalformed},
		{"release of nothing", func(r *session.Request) { r.Rows = nil }, abaton.ReasonMalformed},
		{"row without bits", func(r *session.Request) { r.Rows[0].Bits = 0 }, abaton.ReasonMalformed},
		{"row without a batch", func(r *session.Request) { r.Rows[0].Batch = abaton.BatchName{} }, abaton.ReasonMalformed},
		{"batch twice", func(r *session.Request) { r.Rows[1].Batch = r.Rows[0].Batch }, abaton.ReasonMalformed},
		{"release with lines", func(r *session.Request) { r.Lines = []abaton.Line{line} }, abaton.ReasonMalformed},
		{"release with a cursor", func(r *session.Request) { r.Cursor = 1 }, abaton.ReasonMalformed},
		{"list of rows", func(r *session.Request) { r.Mode = session.List }, abaton.ReasonMalformed},
		{"list of no lines", func(r *session.Request) { r.Mode, r.Rows = session.List, nil }, abaton.ReasonMalformed},
		{"list of a line twice", func(r *session.Request) {
			r.Mode, r.Rows, r.Lines = session.List, nil, []abaton.Line{line, line}
		}, abaton.ReasonMalformed},
		{"list of the zero line", func(r *session.Request) { r.Mode, r.Rows, r.Lines = session.List, nil, []abaton.Line{{}} }, abaton.ReasonMalformed},
		{"history of rows", func(r *session.Request) { r.Mode = session.History }, abaton.ReasonMalformed},
		{"step-up that is none", func(r *session.Request) { r.StepUp = []byte{0xa0} }, abaton.ReasonMalformed},
		{"another session", func(r *session.Request) { r.Session[0] ^= 1 }, abaton.ReasonNoSession},
		{"too late", func(r *session.Request) { r.Time -= int64(abaton.ClockSkewMax/time.Second) + 1 }, abaton.ReasonTime},
		{"too early", func(r *session.Request) { r.Time += int64(abaton.ClockSkewMax/time.Second) + 1 }, abaton.ReasonTime},
		{"at the edge", func(r *session.Request) { r.Time += int64(abaton.ClockSkewMax / time.Second) }, ""},
	}
	for _, tt := range tests {
		r := request(s.ID())
		tt.change(r)
		asked, err := session.ParseRequest(r.Sign(signing("session")))
		if err == nil {
			err = asked.Authenticate(s, start)
		}
		if got := reason(err); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	stranger, err := session.ParseRequest(request(s.ID()).Sign(signing("stranger")))
	if err != nil {
		t.Fatal(err)
	}
	if got := reason(stranger.Authenticate(s, start)); got != abaton.ReasonSignature {
		t.Errorf("another key: got %q, want %q", got, abaton.ReasonSignature)
	}
	if got := reason(stranger.Authenticate(nil, start)); got != abaton.ReasonNoSession {
		t.Errorf("no session: got %q, want %q", got, abaton.ReasonNoSession)
	}
	if _, err := session.ParseRequest(make([]byte, session.RequestBytesMax+1)); reason(err) != abaton.ReasonTooLarge {
		t.Errorf("large: got %v, want %q", err, abaton.ReasonTooLarge)
	}
	one, _ := session.ParseRequest(request(s.ID()).Sign(signing("session")))
	two := request(s.ID())
	two.Nonce[0]++
	other, _ := session.ParseRequest(two.Sign(signing("session")))
	if one.Hash() == other.Hash() || one.Hash() != stranger.Hash() {
		t.Errorf("the hash names the signed body and nothing else")
	}
}

func TestStepUp(t *testing.T) {
	a := newActors(t, actor.Patient, actor.Synced)
	s := a.session(a.statement())
	lines := []abaton.Line{{1}, {2}}
	tests := []struct {
		name   string
		change func(*session.StepUp)
		signer string
		lines  []abaton.Line
		now    time.Time
		want   abaton.Reason
		class  actor.Class // another than the session's
	}{
		{"valid", nil, "ana", lines, start, "", 0},
		{"fewer lines", nil, "ana", lines[:1], start, "", 0},
		{"five minutes old", nil, "ana", lines, start.Add(session.StepUpMax), "", 0},
		{"older", nil, "ana", lines, start.Add(session.StepUpMax + time.Second), abaton.ReasonStepUp, 0},
		{"from the future", nil, "ana", lines, start.Add(-abaton.ClockSkewMax - time.Second), abaton.ReasonStepUp, 0},
		{"a line more", nil, "ana", append(lines, abaton.Line{3}), start, abaton.ReasonStepUp, 0},
		{"no lines asked", nil, "ana", nil, start, abaton.ReasonStepUp, 0},
		{"another passkey", nil, "ben", lines, start, abaton.ReasonStepUp, 0},
		{"another session", func(u *session.StepUp) { u.Session[0] ^= 1 }, "ana", lines, start, abaton.ReasonStepUp, 0},
		{"another patient", func(u *session.StepUp) { u.Patient[0] ^= 1 }, "ana", lines, start, abaton.ReasonStepUp, 0},
		{"another purpose", func(u *session.StepUp) { u.Purpose = abaton.Research }, "ana", lines, start, abaton.ReasonStepUp, 0},
		{"by a passkey that suddenly does not sync", nil, "ana", lines, start, abaton.ReasonStepUp, actor.Bound},
	}
	for _, tt := range tests {
		r := request(s.ID())
		u := session.StepUp{V: wire.Version, Session: s.ID(), Patient: r.Patient, Lines: lines, Purpose: r.Purpose, Time: start.Unix(), Nonce: [16]byte{1}}
		if tt.change != nil {
			tt.change(&u)
		}
		signer := a.passkey(tt.signer)
		if tt.class != 0 {
			signer = passkey(t, tt.signer)
		}
		assertion, err := signer.Assert(u.Challenge())
		if err != nil {
			t.Fatal(err)
		}
		r.StepUp = (&session.SignedStepUp{StepUp: u, Assertion: *assertion}).Marshal()
		asked, err := session.ParseRequest(r.Sign(signing("session")))
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if got := reason(asked.SteppedUp(s, party, tt.lines, tt.now)); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	asked, err := session.ParseRequest(request(s.ID()).Sign(signing("session")))
	if err != nil {
		t.Fatal(err)
	}
	if got := reason(asked.SteppedUp(s, party, lines, start)); got != abaton.ReasonStepUp {
		t.Errorf("no step-up: got %q, want %q", got, abaton.ReasonStepUp)
	}
	r := request(s.ID())
	for name, bad := range map[string]func(*session.StepUp){
		"version":         func(u *session.StepUp) { u.V = 2 },
		"unknown purpose": func(u *session.StepUp) { u.Purpose = "CURIOUS" },
		"no lines":        func(u *session.StepUp) { u.Lines = nil },
		"line twice":      func(u *session.StepUp) { u.Lines = []abaton.Line{{1}, {1}} },
	} {
		u := session.StepUp{V: wire.Version, Session: s.ID(), Lines: lines, Purpose: abaton.Treatment}
		bad(&u)
		r.StepUp = (&session.SignedStepUp{StepUp: u}).Marshal()
		if _, err := session.ParseRequest(r.Sign(signing("session"))); reason(err) != abaton.ReasonMalformed {
			t.Errorf("step-up, %s: got %v, want %q", name, err, abaton.ReasonMalformed)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add(request(abaton.SessionID{1}).Sign(signing("session")))
	r := request(abaton.SessionID{1})
	r.Mode, r.Rows, r.Lines = session.List, nil, []abaton.Line{{1}}
	r.StepUp = (&session.SignedStepUp{StepUp: session.StepUp{V: 1, Lines: r.Lines, Purpose: abaton.Treatment}}).Marshal()
	f.Add(r.Sign(signing("session")))
	f.Fuzz(func(t *testing.T, data []byte) {
		asked, err := session.ParseRequest(data)
		if err != nil {
			return
		}
		body := string(wire.Marshal(&asked.Request))
		if !strings.Contains(string(data), body) {
			t.Errorf("parsed and written again, the request differs")
		}
	})
}

// TestStepUpCounts: a step-up was made after its session, so a passkey that
// counts has counted on.
func TestStepUpCounts(t *testing.T) {
	a := newActors(t, actor.Clinician, actor.Bound)
	lines := []abaton.Line{{1}}
	for _, tt := range []struct {
		session, stepUp uint32
		want            abaton.Reason
	}{{0, 0, ""}, {5, 6, ""}, {0, 1, ""}, {5, 5, abaton.ReasonCloned}, {5, 4, abaton.ReasonCloned}, {5, 0, abaton.ReasonCloned}} {
		statement := a.statement()
		st := statement.Marshal()
		begun, err := passkey(t, "ana").WithCount(tt.session).Assert(session.Challenge(st))
		if err != nil {
			t.Fatal(err)
		}
		signed := a.sign(statement) // at the clinician's device
		signed.Assertion = *begun
		s, err := session.Authenticate(signed, party)
		if err != nil || s.Count() != tt.session {
			t.Fatalf("authenticate: got count %d, %v, want %d", s.Count(), err, tt.session)
		}
		r := request(s.ID())
		u := session.StepUp{V: wire.Version, Session: s.ID(), Patient: r.Patient, Lines: lines, Purpose: r.Purpose, Time: start.Unix(), Nonce: [16]byte{1}}
		assertion, err := passkey(t, "ana").WithCount(tt.stepUp).Assert(u.Challenge())
		if err != nil {
			t.Fatal(err)
		}
		r.StepUp = (&session.SignedStepUp{StepUp: u, Assertion: *assertion}).Marshal()
		asked, err := session.ParseRequest(r.Sign(signing("session")))
		if err != nil {
			t.Fatal(err)
		}
		if got := reason(asked.SteppedUp(s, party, lines, start)); got != tt.want {
			t.Errorf("session at %d, step-up at %d: got %q, want %q", tt.session, tt.stepUp, got, tt.want)
		}
	}
}
