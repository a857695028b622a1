package sim

import (
	"golang.org/x/mod/sumdb/tlog"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/quorum"
	protocol "github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/session"
)

// history asks all ledgers who looked, and compares with who did.
func (d *device) history(then func()) {
	w := d.w
	s := w.pool.patient.session
	asked := w.question(s, abaton.GrantID{}, session.History, nil)
	step := quorum.NewCollect(five, five.HistoryAnswers(), 1)
	began := w.now
	var answers []ledger.Answer
	over := false
	var do func([]quorum.Effect)
	do = func(effects []quorum.Effect) {
		for _, e := range effects {
			switch e.Do {
			case quorum.Send:
				x := e.Keeper
				w.ask(d.place(), s, x, asked, func(a answer) {
					told, ok := w.disclosures(x, a.reply)
					switch {
					case a.reply == nil:
						do(step.Refuse(x, a.reason))
					case !ok:
						do(step.Lost(x))
					default:
						answers = append(answers, told)
						do(step.Answer(x, false))
					}
				}, func() { do(step.Lost(x)) })
			case quorum.Wake:
				w.after(e.After, func() { do(step.Timer()) })
			case quorum.Changed:
				if over || step.State() == quorum.Working {
					continue
				}
				over = true
				w.note("history state", d.place(), int(step.State()), len(answers))
				if step.Err() == nil {
					w.result.Done.Histories++
					merged := ledger.Merge(w.pool.patient.id, answers, ledger.Shape{Keepers: keepers, Threshold: five.T, Faulty: five.F})
					w.checker.told(began, &merged)
				}
				then()
			}
		}
	}
	do(step.Start())
}

// disclosures verifies one keeper's answer against the checkpoint it came
// with.
func (w *world) disclosures(x abaton.KeeperIndex, r *protocol.Reply) (ledger.Answer, bool) {
	if r == nil || r.Outcome == protocol.Refused || uint64(len(r.Disclosures)) < r.Total {
		return ledger.Answer{}, false
	}
	e := ledger.Extract{Checkpoint: r.Checkpoint, Total: r.Total}
	for i := range r.Disclosures {
		d := &r.Disclosures[i]
		out := ledger.Disclosure{Index: d.Index, Seq: d.Seq, Leaf: d.Leaf, Salt: d.Salt, Entry: d.Entry}
		for _, h := range d.Path {
			out.Path = append(out.Path, tlog.Hash(h))
		}
		e.Disclosures = append(e.Disclosures, out)
	}
	own := w.pool.evidence[x]
	if e.Verify(own.Origin, own.Ledger) != nil {
		return ledger.Answer{}, false
	}
	return ledger.Answer{Keeper: x, Disclosures: e.Disclosures}, true
}
