package client

import (
	"context"
	"crypto/rand"
	"errors"
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

// Answers is where verified pages of a look go: in memory here, on disk with
// internal/exact. Its methods are called one at a time.
type Answers interface {
	// From is where a keeper's answer goes on, and whether it is told whole: an
	// answer that broke off is not asked for again.
	From(abaton.KeeperIndex) (from uint64, told bool)
	// Take adds a page. An error ends this keeper's answer; a
	// *ledger.WithheldError is the keeper's fault, any other ends the whole.
	Take(abaton.KeeperIndex, *ledger.Found) error
	// Done says that a keeper has told all; since is when its ledger followed one
	// that was lost, 0 for never.
	Done(x abaton.KeeperIndex, since int64)
	// Fault says why a keeper's answer does not count.
	Fault(x abaton.KeeperIndex, check string, at uint64)
}

// Touched asks all keepers for an organisation's own entries and puts the
// answers together: of whom what was opened, and what was only asked for. The
// Asker is a key that manages the organisation, or its security officer's. Each
// keeper ledgers the question first. Verdict and String of the result say how
// complete it is; Faults name the keepers whose answer does not count and why.
// It holds the list in memory; Exact does not.
//
// Name of the question may be left empty. Each page, verified and with the path
// of each entry, is shown to pages first, unless that is nil: it holds the
// proofs, which are not kept here.
func (n *Network) Touched(ctx context.Context, look ledger.Look, pages func(abaton.KeeperIndex, *ledger.Found)) (*ledger.Touched, error) {
	if look.Name == ([16]byte{}) {
		rand.Read(look.Name[:])
	}
	p := n.params
	s := ledger.NewSurvey(look, ledger.Shape{Keepers: p.N, Threshold: p.T, Faulty: p.F})
	if err := n.survey(ctx, &looking{look: &look, into: &inMemory{s, pages}, paths: pages != nil}); err != nil {
		return nil, err
	}
	return s.Touched(), nil
}

// Exact asks all keepers a question as Touched does, and hands their answers to
// into, page by page. The question has a name: one that broke off is asked on under
// the same.
func (n *Network) Exact(ctx context.Context, look ledger.Look, into Answers) error {
	return n.survey(ctx, &looking{look: &look, into: into})
}

// survey asks every keeper and waits for all of them.
func (n *Network) survey(ctx context.Context, l *looking) error {
	if n.asker == nil {
		return fmt.Errorf("look: %w", abaton.Refuse(abaton.ReasonCredential))
	}
	if !l.look.Valid() {
		return fmt.Errorf("look: %w", abaton.Refuse(abaton.ReasonMalformed))
	}
	ctx, l.stop = context.WithCancelCause(ctx)
	defer l.stop(nil)
	l.n = n
	var each sync.WaitGroup
	for i := range n.set.Keepers {
		each.Go(func() { l.ask(ctx, n.set.Keepers[i].X) })
	}
	each.Wait()
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("look: %w", err)
	}
	if l.refused > n.params.F && l.whole == 0 {
		return fmt.Errorf("look: %w", abaton.Refuse(l.reason))
	}
	return nil
}

// inMemory are Answers in a survey.
type inMemory struct {
	*ledger.Survey
	pages func(abaton.KeeperIndex, *ledger.Found)
}

// From is Answers: nothing was told before.
func (*inMemory) From(abaton.KeeperIndex) (uint64, bool) { return 0, false }

// Take is Answers.
func (m *inMemory) Take(x abaton.KeeperIndex, page *ledger.Found) error {
	if err := m.Survey.Take(x, page); err != nil {
		return err
	}
	if m.pages != nil {
		m.pages(x, page)
	}
	return nil
}

// looking is a look under way. Unlike a read it waits for every keeper: an exact
// list is worth minutes.
type looking struct {
	n     *Network
	look  *ledger.Look
	paths bool // each entry gets its own path
	stop  context.CancelCauseFunc

	mu      sync.Mutex // guards what follows
	into    Answers
	refused int
	whole   int
	reason  abaton.Reason
}

// ask reads all pages of one keeper.
func (l *looking) ask(ctx context.Context, x abaton.KeeperIndex) {
	from, told := l.from(x)
	for pages, failed := 0, 0; !told; pages++ {
		a, err := l.n.pose(ctx, x, keeper.Query{Kind: keeper.QueryTouched, From: from, Look: l.look})
		reason := reasonOf(err)
		switch {
		case ctx.Err() != nil:
			return
		case pages == lookPagesMax:
			l.fault(x, "pages", from, "")
			return
		case reason != "":
			l.fault(x, "refused: "+string(reason), from, reason)
			return
		case err != nil:
			if failed++; failed == lookPatience {
				l.fault(x, "no answer", from, "")
				return
			}
			continue
		}
		failed = 0
		more, check := l.take(x, a, from)
		if check != "" {
			l.fault(x, check, from, "")
		}
		if !more || check != "" {
			return
		}
		from = a.Next
	}
}

func (l *looking) from(x abaton.KeeperIndex) (from uint64, told bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if from, told = l.into.From(x); told {
		l.done(x)
	}
	return from, told
}

func (l *looking) done(x abaton.KeeperIndex) {
	l.into.Done(x, l.n.set.Begun(x).At)
	l.whole++
}

func (l *looking) fault(x abaton.KeeperIndex, check string, at uint64, refused abaton.Reason) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if refused != "" {
		l.refused, l.reason = l.refused+1, refused
	}
	l.into.Fault(x, check, at)
}

// take verifies one page and adds it; check says what does not hold.
func (l *looking) take(x abaton.KeeperIndex, told *keeper.Statements, from uint64) (more bool, check string) {
	if len(told.Disclosures) > abaton.DisclosuresMax {
		return false, "length"
	}
	if told.Next != 0 && told.Next <= from {
		return false, "pages do not move on"
	}
	page, err := l.n.found(x, told, l.paths)
	if err != nil {
		return false, "proof"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.into.Take(x, page); err != nil {
		if _, faulty := errors.AsType[*ledger.WithheldError](err); faulty {
			return false, "entries" // the survey has noted which
		}
		l.stop(err)
		return false, ""
	}
	if page.Next == 0 {
		l.done(x)
	}
	return page.Next != 0, ""
}

// found is a page as a keeper told it, proven to be in its ledger.
func (n *Network) found(x abaton.KeeperIndex, told *keeper.Statements, paths bool) (*ledger.Found, error) {
	cover, ok := keeper.ParseCover(told.Cover)
	if !ok {
		return nil, errAnswer
	}
	page := &ledger.Found{Extract: ledger.Extract{Checkpoint: told.Checkpoint}, Cover: cover, Next: told.Next, Gone: told.Gone}
	for i := range told.Disclosures {
		d := &told.Disclosures[i]
		if len(d.Path) != 0 {
			return nil, errAnswer
		}
		page.Disclosures = append(page.Disclosures, ledger.Disclosure{Index: d.Index, Seq: d.Seq, Leaf: d.Leaf, Salt: d.Salt, Entry: d.Entry})
	}
	entry := n.set.Keeper(x)
	verifier, err := ledger.NewVerifier(entry.Origin, entry.Key)
	if err != nil {
		return nil, errAnswer
	}
	verify := page.Verify
	if paths {
		verify = page.VerifyPaths
	}
	if verify(entry.Origin, verifier) != nil {
		return nil, errAnswer
	}
	return page, nil
}
