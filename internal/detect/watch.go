package detect

import "github.com/abaton-health/abaton"

// Watch is one keeper's memory of what it was asked. The zero Watch finds
// everything to suspend; New makes a useful one.
type Watch struct {
	t Thresholds
}

// New gives an empty memory that goes by t. If t is not valid, Default is
// taken: a keeper is never without rules.
func New(t Thresholds) *Watch {
	if t.Valid() != nil {
		t = Default()
	}
	return &Watch{t: t}
}

// Judge says what holds for this act, given what was noted before, as if it
// were released now. It changes nothing. A level of StepUp is no longer asked
// for when the act is Stepped, or its patient was opened with a step-up in the
// same session within StepLife: what is left is Notify, with the same rules.
func (w *Watch) Judge(a *Act) Finding { return Finding{Level: SuspendSession} }

// Note takes the act in, after the decision. Released acts that open count;
// what was refused counts for D5 alone.
func (w *Watch) Note(a *Act, released bool) {}

// Explain says that a reason for this actor to open this patient came
// afterwards: what was unrelated no longer counts.
func (w *Watch) Explain(actor, patient abaton.ActorID) {}

// Settle forgets what no rule looks at any more. Call it once a minute or so,
// with this keeper's time in unix seconds.
func (w *Watch) Settle(now int64) {}

// Bytes is about how much memory the Watch holds.
func (w *Watch) Bytes() int { return 0 }

// Open is an unrelated opening without a reason so far.
type Open struct {
	Actor, Patient abaton.ActorID
	Session        abaton.SessionID
	Time           int64 // unix seconds, of the first opening
}

// Unexplained lists the openings that were unrelated, are older than
// Thresholds.Late and no older than a week, and for which no reason came (D14).
// It goes by time, then by actor and patient. It changes nothing.
func (w *Watch) Unexplained(now int64) []Open { return nil }
