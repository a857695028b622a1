package detect

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/abaton-health/abaton"
)

// Open is an unrelated opening without a reason so far.
type Open struct {
	Actor, Patient abaton.ActorID
	Session        abaton.SessionID
	Time           int64 // unix seconds, of the first opening
	Emergency      bool  // no grant was there either
}

// Unexplained lists the openings that were unrelated, are at least
// Thresholds.Late old and no older than a week, and for which no reason came
// (D14). It goes by time, then by actor and patient. It changes nothing.
func (w *Watch) Unexplained(now int64) (all []Open) {
	if w.t.off.Has(D14) {
		return nil
	}
	at := clock(now)
	for actor, t := range w.trails {
		for _, o := range t.opens {
			if within(at, o.at, week) && !within(at, o.at, w.t.Late) {
				all = append(all, Open{actor, o.patient, o.session, int64(o.at), o.emergency})
			}
		}
	}
	slices.SortFunc(all, func(a, b Open) int {
		return cmp.Or(cmp.Compare(a.Time, b.Time), bytes.Compare(a.Actor[:], b.Actor[:]), bytes.Compare(a.Patient[:], b.Patient[:]))
	})
	return all
}

// Reconsider asks of each opening that counts as unrelated whether there is a
// reason by now, told after it: for a memory that was made again. It stops at the
// first error.
func (w *Watch) Reconsider(related func(actor, patient abaton.ActorID) (bool, error)) error {
	for actor, t := range w.trails {
		for _, o := range slices.Clone(t.opens) {
			reason, err := related(actor, o.patient)
			if err != nil {
				return err
			}
			if reason {
				w.Explain(actor, o.patient)
			}
		}
	}
	return nil
}
