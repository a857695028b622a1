package session_test

import (
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

const verified = 5 // user present and verified, not synced

// urgent makes r ask for an emergency set, with a statement that change may
// spoil before it is signed.
func urgent(t testing.TB, r *session.Request, change func(*session.Emergency)) {
	t.Helper()
	r.Mode, r.Rows, r.Purpose = session.Unseal, nil, abaton.Emergency
	m := session.Emergency{V: wire.Version, Session: r.Session, Patient: r.Patient, Escrow: r.Grant, Purpose: abaton.Emergency,
		Urgency: session.LifeInDanger, Time: start.Unix(), Nonce: [16]byte{1}}
	if change != nil {
		change(&m)
	}
	r.Emergency = (&session.SignedEmergency{Emergency: m, Assertion: fixedAssertion(t, "ana", party.Origins[0], verified, m.Challenge())}).Marshal()
}

// approval is a second clinician's word about the opening that r asks for or
// names.
func approval(t testing.TB, r *session.Request, change func(*session.Approval)) []byte {
	t.Helper()
	p := session.Approval{V: wire.Version, Session: r.Session, Patient: r.Patient, Escrow: r.Grant, Opener: abaton.ActorID{9},
		Verdict: session.Right, Time: start.Unix(), Nonce: [16]byte{1}}
	if change != nil {
		change(&p)
	}
	return (&session.SignedApproval{Approval: p, Assertion: fixedAssertion(t, "ana", party.Origins[0], verified, p.Challenge())}).Marshal()
}

func confirm(t testing.TB, r *session.Request, change func(*session.Approval)) {
	t.Helper()
	r.Mode, r.Rows, r.Purpose = session.Confirm, nil, abaton.Emergency
	r.Approval = approval(t, r, func(p *session.Approval) {
		p.Opening = [32]byte{8}
		if change != nil {
			change(p)
		}
	})
}

func TestOpens(t *testing.T) {
	a := newActors(t, actor.Clinician, actor.Bound)
	s := a.session(a.statement())
	for _, c := range []struct {
		name   string
		change func(*session.Emergency)
		after  time.Duration
		want   abaton.Reason
	}{
		{"fresh", nil, 0, ""},
		{"a minute old", nil, time.Minute, ""},
		{"older", nil, time.Minute + time.Second, abaton.ReasonStepUp},
		{"from the future", nil, -abaton.ClockSkewMax - time.Second, abaton.ReasonStepUp},
		{"of another session", func(m *session.Emergency) { m.Session[0] ^= 1 }, 0, abaton.ReasonStepUp},
		{"about another patient", func(m *session.Emergency) { m.Patient[0] ^= 1 }, 0, abaton.ReasonStepUp},
		{"about another set", func(m *session.Emergency) { m.Escrow[0] ^= 1 }, 0, abaton.ReasonStepUp},
	} {
		r := request(s.ID())
		urgent(t, r, c.change)
		asked := parsed(t, r)
		_, err := asked.Opens(s, party, start.Add(c.after))
		if got := reason(err); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	r := request(s.ID())
	urgent(t, r, nil)
	r.Purpose = abaton.Treatment
	if _, err := parsed(t, r).Opens(s, party, start); reason(err) != abaton.ReasonStepUp {
		t.Errorf("asked for another purpose: got %v, want %q", err, abaton.ReasonStepUp)
	}
	m := session.Emergency{V: wire.Version, Session: s.ID(), Patient: r.Patient, Escrow: r.Grant, Purpose: abaton.Emergency,
		Urgency: session.CannotSpeak, Time: start.Unix(), Nonce: [16]byte{1}}
	for name, by := range map[string]key.Assertion{
		"another passkey":         fixedAssertion(t, "ben", party.Origins[0], verified, m.Challenge()),
		"another challenge":       fixedAssertion(t, "ana", party.Origins[0], verified, [32]byte{1}),
		"another origin":          fixedAssertion(t, "ana", "https://abaton.evil", verified, m.Challenge()),
		"a user not verified":     fixedAssertion(t, "ana", party.Origins[0], 1, m.Challenge()),
		"one that suddenly syncs": fixedAssertion(t, "ana", party.Origins[0], verified|8, m.Challenge()),
	} {
		r.Purpose, r.Emergency = abaton.Emergency, (&session.SignedEmergency{Emergency: m, Assertion: by}).Marshal()
		if _, err := parsed(t, r).Opens(s, party, start); reason(err) != abaton.ReasonStepUp {
			t.Errorf("%s: got %v, want %q", name, err, abaton.ReasonStepUp)
		}
	}
	plain := parsed(t, request(s.ID()))
	if _, err := plain.Opens(s, party, start); reason(err) != abaton.ReasonStepUp || plain.Said() != nil {
		t.Errorf("no statement: got %v, want %q", err, abaton.ReasonStepUp)
	}
}

func TestAgrees(t *testing.T) {
	a := newActors(t, actor.Clinician, actor.Bound)
	s := a.session(a.statement())
	for _, c := range []struct {
		name   string
		change func(*session.Approval)
		after  time.Duration
		want   abaton.Reason
	}{
		{"afterwards", nil, 0, ""},
		{"wrong", func(p *session.Approval) { p.Verdict = session.Wrong }, 0, ""},
		{"five minutes old", nil, session.StepUpMax, ""},
		{"older", nil, session.StepUpMax + time.Second, abaton.ReasonSecond},
		{"about the own opening", func(p *session.Approval) { p.Opener = s.Statement().Actor }, 0, abaton.ReasonSecond},
		{"about no opening", func(p *session.Approval) { p.Opening = [32]byte{} }, 0, abaton.ReasonSecond},
		{"about another patient", func(p *session.Approval) { p.Patient[0] ^= 1 }, 0, abaton.ReasonSecond},
		{"about another set", func(p *session.Approval) { p.Escrow[0] ^= 1 }, 0, abaton.ReasonSecond},
		{"of another session", func(p *session.Approval) { p.Session[0] ^= 1 }, 0, abaton.ReasonSecond},
	} {
		r := request(s.ID())
		confirm(t, r, c.change)
		asked := parsed(t, r)
		_, err := asked.Agrees(s, party, start.Add(c.after))
		if got := reason(err); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	r := request(s.ID())
	urgent(t, r, nil)
	r.Approval = approval(t, r, nil)
	if _, err := parsed(t, r).Agrees(s, party, start); err != nil {
		t.Errorf("beforehand: got %v, want agreed", err)
	}
	r.Approval = approval(t, r, func(p *session.Approval) { p.Opening = [32]byte{8} })
	if _, err := parsed(t, r).Agrees(s, party, start); reason(err) != abaton.ReasonSecond {
		t.Errorf("beforehand, about an earlier opening: got %v, want %q", err, abaton.ReasonSecond)
	}
	if _, err := parsed(t, r).Agrees(nil, party, start); reason(err) != abaton.ReasonSecond {
		t.Errorf("of a session not known here: got %v, want %q", err, abaton.ReasonSecond)
	}
}

// TestAgreesToReading: a word about what the watch holds back is about one
// session, one patient and one grant, and says yes.
func TestAgreesToReading(t *testing.T) {
	a := newActors(t, actor.Clinician, actor.Bound)
	s := a.session(a.statement())
	for _, mode := range []session.Mode{session.Release, session.Permit, session.Index, session.List, session.Parts} {
		for _, c := range []struct {
			name   string
			change func(*session.Approval)
			after  time.Duration
			want   abaton.Reason
		}{
			{"for this session", nil, 0, ""},
			{"five minutes old", nil, session.StepUpMax, ""},
			{"older", nil, session.StepUpMax + time.Second, abaton.ReasonSecond},
			{"from the future", nil, -abaton.ClockSkewMax - time.Second, abaton.ReasonSecond},
			{"for no session, as beforehand", func(p *session.Approval) { p.Opening = [32]byte{} }, 0, abaton.ReasonSecond},
			{"for another session", func(p *session.Approval) { p.Opening[0] ^= 1 }, 0, abaton.ReasonSecond},
			{"against it", func(p *session.Approval) { p.Verdict = session.Wrong }, 0, abaton.ReasonSecond},
			{"about another patient", func(p *session.Approval) { p.Patient[0] ^= 1 }, 0, abaton.ReasonSecond},
			{"about another grant", func(p *session.Approval) { p.Escrow[0] ^= 1 }, 0, abaton.ReasonSecond},
			{"about oneself", func(p *session.Approval) { p.Opener = s.Statement().Actor }, 0, abaton.ReasonSecond},
		} {
			r := request(s.ID())
			r.Mode, r.Grant = mode, abaton.GrantID{7}
			if mode == session.List || mode == session.Parts {
				r.Rows, r.Lines = nil, []abaton.Line{{1}}
			}
			r.Approval = approval(t, r, func(p *session.Approval) {
				p.Opening = r.Session
				if c.change != nil {
					c.change(p)
				}
			})
			_, err := parsed(t, r).Agrees(s, party, start.Add(c.after))
			if got := reason(err); got != c.want {
				t.Errorf("mode %d, %s: got %q, want %q", mode, c.name, got, c.want)
			}
		}
	}
}

func parsed(t *testing.T, r *session.Request) *session.Asked {
	t.Helper()
	asked, err := session.ParseRequest(r.Sign(signing("session")))
	if err != nil {
		t.Fatal(err)
	}
	return asked
}

func TestWords(t *testing.T) {
	own, id := box("words"), abaton.SessionID{3}
	ten := "one two three four five six seven eight nine ten"
	sealed, err := session.SealWords(own.Public(), id, ten)
	if err != nil || len(sealed) != session.WordsSealedBytes {
		t.Fatalf("seal: got %d bytes and %v, want %d", len(sealed), err, session.WordsSealedBytes)
	}
	if got, err := session.OpenWords(own, id, sealed); err != nil || got != ten {
		t.Errorf("open: got %v, want the words", err)
	}
	long, err := session.SealWords(own.Public(), id, strings.Repeat("word ", 102))
	if err != nil || len(long) != len(sealed) {
		t.Errorf("a long reason: got %d bytes and %v, want the same length as a short one", len(long), err)
	}
	for name, words := range map[string]string{"nine words": ten[:44], "too many bytes": strings.Repeat("words ", 100)} {
		if _, err := session.SealWords(own.Public(), id, words); err != session.ErrWords {
			t.Errorf("%s: got %v, want %v", name, err, session.ErrWords)
		}
	}
	if _, err := session.OpenWords(own, abaton.SessionID{4}, sealed); err == nil {
		t.Error("copied into another session: got opened, want refused")
	}
	if _, err := session.OpenWords(box("other"), id, sealed); err == nil {
		t.Error("for another patient: got opened, want refused")
	}
}

func FuzzParseApproval(f *testing.F) {
	r := request(abaton.SessionID{1})
	f.Add(approval(f, r, nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := session.ParseApproval(data)
		if err == nil && string(p.Marshal()) != string(data) {
			t.Errorf("parsed and written again, the approval differs")
		}
	})
}
