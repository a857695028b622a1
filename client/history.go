package client

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/quorum"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/session"
)

// History is the patient's list of disclosures from as many keepers as
// answer: complete at four, with a caveat at three (RULINGS 23). Verdict and
// String of the result say which. Every entry is proven to be in its keeper's
// signed ledger.
func (r *Reader) History(ctx context.Context, patient abaton.ActorID) (*ledger.History, error) {
	h := &history{n: r.n, told: make(map[abaton.KeeperIndex][]ledger.Disclosure)}
	enough := r.n.params.HistoryAnswers()
	for i := range r.n.set.Keepers { // one whose ledger began later may not count for all time
		if r.n.set.Begun(r.n.set.Keepers[i].X).At != 0 {
			enough = min(enough+1, r.n.params.N)
		}
	}
	step := quorum.NewCollect(r.n.params, enough, 1)
	ask := Ask{Patient: patient, Purpose: abaton.PatientAccess}
	if err := r.collect(ctx, step, ask, session.History, h); err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	var answers []ledger.Answer
	for x := range step.Answered().Each {
		answers = append(answers, ledger.Answer{Keeper: x, Disclosures: h.told[x], Since: r.n.set.Begun(x).At})
	}
	p := r.n.params
	merged := ledger.Merge(patient, answers, ledger.Shape{Keepers: p.N, Threshold: p.T, Faulty: p.F})
	return &merged, nil
}

// history is a History under way.
type history struct {
	n    *Network
	mu   sync.Mutex
	told map[abaton.KeeperIndex][]ledger.Disclosure
}

// take verifies one page against the checkpoint it came with. The last page
// must bring the keeper's count to the total it states.
func (h *history) take(x abaton.KeeperIndex, a *answered) error {
	page, err := h.n.disclosures(x, a)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told[x] = append(h.told[x], page...)
	if a.Next == 0 && uint64(len(h.told[x])) < a.Total {
		return errAnswer
	}
	return nil
}

func (h *history) unclear() bool { return false }

func (n *Network) disclosures(x abaton.KeeperIndex, a *answered) ([]ledger.Disclosure, error) {
	if len(a.Disclosures) > abaton.DisclosuresMax {
		return nil, errAnswer
	}
	extract, err := n.extract(x, a.Checkpoint, a.Disclosures)
	if err != nil {
		return nil, err
	}
	return extract.Disclosures, nil
}

// extract is what a keeper disclosed, proven to be in its ledger.
func (n *Network) extract(x abaton.KeeperIndex, checkpoint []byte, told []keeper.Disclosure) (*ledger.Extract, error) {
	extract := &ledger.Extract{Checkpoint: checkpoint}
	for i := range told {
		d := &told[i]
		out := ledger.Disclosure{Index: d.Index, Seq: d.Seq, Leaf: d.Leaf, Salt: d.Salt, Entry: d.Entry}
		for _, hash := range d.Path {
			out.Path = append(out.Path, tlog.Hash(hash))
		}
		extract.Disclosures = append(extract.Disclosures, out)
	}
	entry := n.set.Keeper(x)
	verifier, err := ledger.NewVerifier(entry.Origin, entry.Key)
	if err != nil || extract.Verify(entry.Origin, verifier) != nil {
		return nil, errAnswer
	}
	return extract, nil
}
