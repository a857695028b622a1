package client

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/ledger"
)

// lookPagesMax bounds the pages of one keeper's answer to a look; lookPatience
// how many of them in a row may fail before the keeper counts as silent.
const (
	lookPagesMax = 1 << 20
	lookPatience = 3
)

// Touched asks all keepers for an organisation's own entries and puts the
// answers together: of whom what was opened, and what was only asked for. The
// Asker is a key that manages the organisation, or its security officer's. Each
// keeper ledgers the question first. Verdict and String of the result say how
// complete it is; Faults name the keepers whose answer does not count and why.
//
// Name of the question may be left empty. Each page, verified, is shown to pages
// first, unless that is nil: it holds the proofs, which are not kept here.
func (n *Network) Touched(ctx context.Context, look ledger.Look, pages func(abaton.KeeperIndex, *ledger.Found)) (*ledger.Touched, error) {
	if n.asker == nil {
		return nil, fmt.Errorf("look: %w", abaton.Refuse(abaton.ReasonCredential))
	}
	if look.Name == ([16]byte{}) {
		rand.Read(look.Name[:])
	}
	if !look.Valid() {
		return nil, fmt.Errorf("look: %w", abaton.Refuse(abaton.ReasonMalformed))
	}
	p := n.params
	l := &looking{n: n, look: &look, pages: pages,
		survey: ledger.NewSurvey(look, ledger.Shape{Keepers: p.N, Threshold: p.T, Faulty: p.F})}
	var each sync.WaitGroup
	for i := range n.set.Keepers {
		each.Go(func() { l.ask(ctx, n.set.Keepers[i].X) })
	}
	each.Wait()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("look: %w", err)
	}
	if l.refused > p.F && l.whole == 0 {
		return nil, fmt.Errorf("look: %w", abaton.Refuse(l.reason))
	}
	return l.survey.Touched(), nil
}

// looking is a Touched under way. Unlike a read it waits for every keeper: an
// exact list is worth minutes.
type looking struct {
	n     *Network
	look  *ledger.Look
	pages func(abaton.KeeperIndex, *ledger.Found)

	mu      sync.Mutex // guards what follows
	survey  *ledger.Survey
	refused int
	whole   int
	reason  abaton.Reason
}

// ask reads all pages of one keeper.
func (l *looking) ask(ctx context.Context, x abaton.KeeperIndex) {
	from, failed := uint64(0), 0
	for range lookPagesMax {
		told, err := l.n.pose(ctx, x, keeper.Query{Kind: keeper.QueryTouched, From: from, Look: l.look})
		reason := reasonOf(err)
		switch {
		case reason != "":
			l.fault(x, "refused: "+string(reason), from, reason)
			return
		case err != nil:
			if failed++; failed == lookPatience || ctx.Err() != nil {
				l.fault(x, "no answer", from, "")
				return
			}
			continue
		}
		failed = 0
		more, check := l.take(x, told, from)
		if check != "" {
			l.fault(x, check, from, "")
			return
		}
		if !more {
			return
		}
		from = told.Next
	}
	l.fault(x, "pages", from, "")
}

func (l *looking) fault(x abaton.KeeperIndex, check string, at uint64, refused abaton.Reason) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if refused != "" {
		l.refused, l.reason = l.refused+1, refused
	}
	l.survey.Fault(x, check, at)
}

// take verifies one page and adds it; check says what does not hold.
func (l *looking) take(x abaton.KeeperIndex, told *keeper.Statements, from uint64) (more bool, check string) {
	if len(told.Disclosures) > abaton.DisclosuresMax {
		return false, "length"
	}
	if told.Next != 0 && told.Next <= from {
		return false, "pages do not move on"
	}
	extract, err := l.n.extract(x, told.Checkpoint, told.Disclosures)
	if err != nil {
		return false, "proof"
	}
	page := &ledger.Found{Extract: *extract, Next: told.Next, Gone: told.Gone}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.survey.Take(x, page) != nil {
		return false, "entries" // the survey has noted which
	}
	if l.pages != nil {
		l.pages(x, page)
	}
	if page.Next == 0 {
		l.survey.Done(x, l.n.set.Begun(x).At)
		l.whole++
	}
	return page.Next != 0, ""
}
