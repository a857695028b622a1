package custody

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// hearing is another keeper's verdict; the door has verified whose it is.
type hearing struct {
	Said  *contain.Said
	Shown contain.Shown // what its evidence shows; zero where it shows nothing
}

func (hearing) slot() string { return "verdict" }

// decide ledgers and stores a verdict before it counts. The same again changes
// nothing.
func (h hearing) decide(c *Core, t *tx) Output {
	if out, closed := c.closed(); closed {
		return out
	}
	if h.Said.Keeper == c.cfg.Index || c.cfg.Set.Keeper(h.Said.Keeper) == nil {
		return refused(abaton.ReasonPeer)
	}
	if !c.admitted[h.Said.Organisation] {
		return refused(abaton.ReasonActor)
	}
	proof, err := c.proves(t, h)
	if err != nil {
		return t.fail(err)
	}
	muted := c.watching.ladder.Muted(h.Said.Keeper, t.now.Unix())
	_, err = c.take(t, h.Said, proof, grounds{})
	if until := c.watching.ladder.Muted(h.Said.Keeper, t.now.Unix()); muted == 0 && until != 0 {
		c.find(t, abaton.ReasonBudget)
		if !c.cfg.Mutation.skips("muted") {
			c.jot(t, mutedName(h.Said.Keeper), wire.U64(uint64(until)))
		}
	}
	if err != nil {
		return refusedBy(err)
	}
	return Output{}
}

// proves reports whether the evidence of a verdict shows what cannot be denied:
// at that time key logs let this passkey sign, and what it asked for is a
// patient whom its organisation made up.
func (c *Core) proves(t *tx, h hearing) (bool, error) {
	if h.Shown.Session == nil || c.cfg.Mutation.skips("proof") {
		return false, nil
	}
	check, err := c.parties(h.Shown.Session, time.Unix(h.Said.Time, 0))
	if err != nil {
		return false, err
	}
	if h.Shown.Session.Live(check) != nil {
		return false, nil
	}
	r, err := c.relation(t, opener{organisation: h.Said.Organisation, actor: h.Shown.Session.Statement().Actor}, h.Shown.Patient)
	return r.Honey, err
}

func mutedName(x abaton.KeeperIndex) string { return fmt.Sprintf("muted/%d", x) }

// wordSpace holds the verdicts that stand: keeper, kind, subject and level, then
// when it was heard, whether it came with proof, and the verdict as signed.
const wordSpace = 'v'

func wordKey(s *contain.Said) []byte {
	k := append([]byte{byte(s.Keeper), byte(s.Subject.Kind)}, s.Subject.ID[:]...)
	return append(k, byte(s.Level))
}

func (c *Core) keepWord(t *tx, s *contain.Said, proof bool) {
	value := binary.BigEndian.AppendUint64(nil, uint64(t.now.Unix()))
	value = append(value, 0)
	if proof {
		value[8] = 1
	}
	c.store.Raw(wordSpace).Into(&t.change).Put(wordKey(s), append(value, s.Marshal()...))
}

// word is a stored verdict.
type word struct {
	said  *contain.Said
	heard int64
	proof bool
}

func readWord(value []byte) (w word, err error) {
	if len(value) < 9 {
		return w, errors.New("verdict is damaged")
	}
	w.heard, w.proof = int64(binary.BigEndian.Uint64(value)), value[8] == 1
	w.said, err = contain.Parse(value[9:])
	return w, err
}

// resumeWatch makes the watch again: verdicts from the store, memory from the
// ledger.
func (c *Core) resumeWatch(now time.Time) error {
	var all []word
	var bad error
	err := c.store.Raw(wordSpace).Scan(nil, nil, func(_, value []byte) bool {
		w, err := readWord(value)
		all, bad = append(all, w), err
		return err == nil
	})
	if err = errors.Join(err, bad); err != nil {
		return fmt.Errorf("read verdicts: %w", err)
	}
	slices.SortFunc(all, func(a, b word) int { return int(a.heard - b.heard) })
	for _, w := range all {
		if now.Unix() >= w.said.Until {
			continue
		}
		if _, err := c.watching.ladder.Put(w.said, w.proof, w.heard, c.lifted); err != nil {
			continue // its keeper had said too much by then
		}
		if w.said.Keeper == c.cfg.Index {
			c.watching.words = append(c.watching.words, w.said) // told again: it costs nothing
		}
	}
	for i := range c.cfg.Set.Keepers {
		x := c.cfg.Set.Keepers[i].X
		until, err := countAt(c.store, mutedName(x))
		if err != nil {
			return err
		}
		if until != 0 {
			c.watching.ladder.Mute(x, int64(until))
		}
	}
	return c.remember(now)
}

// remember makes the memory of every organisation admitted here.
func (c *Core) remember(now time.Time) error {
	fresh := make(map[abaton.ActorID]*vigil)
	for id := range c.admitted {
		version, thresholds, err := c.thresholds(id, now)
		if err != nil {
			return err
		}
		fresh[id] = newVigil(version, thresholds)
	}
	if err := c.recall(fresh, now); err != nil {
		return fmt.Errorf("read what was asked lately: %w", err)
	}
	maps.Copy(c.watching.vigils, fresh)
	return nil
}

// sweepWords removes verdicts that have ended.
func (c *Core) sweepWords(t *tx) error {
	space := c.store.Raw(wordSpace)
	var bad error
	err := space.Scan(nil, nil, func(key, value []byte) bool {
		w, err := readWord(value)
		if bad = err; err == nil && t.now.Unix() >= w.said.Until {
			space.Into(&t.change).Delete(key)
		}
		return err == nil
	})
	return errors.Join(err, bad)
}

// Hear takes verdicts of the other keepers (PROTOCOL.md#verdict).
func (k *Keeper) Hear(ctx context.Context, body []byte) ([]byte, error) {
	var m keeper.Verdicts
	if wire.Unmarshal(body, &m) != nil || m.V != wire.Version {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	if len(m.Verdicts) > keeper.VerdictsMax {
		return nil, abaton.Refuse(abaton.ReasonTooLarge)
	}
	return k.each(ctx, m.Verdicts, func(data []byte) (Input, error) { return k.heard(ctx, data) }, func(Output) []byte { return []byte{} })
}

// heard verifies one verdict.
func (k *Keeper) heard(ctx context.Context, data []byte) (Input, error) {
	s, err := contain.Parse(data)
	if err != nil {
		return nil, err
	}
	if err := s.Verify(k.cfg.Set); err != nil {
		return nil, err
	}
	if k.cfg.Mutation.skips("hear") {
		return nothing{}, nil
	}
	h := hearing{Said: s}
	if len(s.Evidence) == 0 {
		return h, nil
	}
	var at Party
	at.Organisation, at.Into = s.Organisation, new(key.RelyingParty)
	if _, err := k.one(ctx, at); err != nil {
		return nil, err
	}
	if shown, err := s.Proves(*at.Into); err == nil {
		h.Shown = shown
	}
	return h, nil
}

// nothing is an input that changes nothing.
type nothing struct{}

func (nothing) slot() string             { return "" }
func (nothing) decide(*Core, *tx) Output { return Output{} }

// words are this keeper's verdicts that stand, for the peers.
type words struct {
	mu   sync.Mutex
	all  map[contain.Name]*contain.Said
	more chan struct{} // closed when there is another
}

func (w *words) add(said []*contain.Said) {
	if len(said) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = make(map[contain.Name]*contain.Said)
	}
	for _, s := range said {
		w.all[s.Name()] = s
	}
	if w.more != nil {
		close(w.more)
		w.more = nil
	}
}

// tellings are the verdicts that were told to one peer: heard, or else how often
// it would not take them yet.
type tellings map[contain.Name]int

const wasHeard = -1

// untold are the verdicts that stand and that a peer has not heard, those first
// that it refused least often, then the oldest, and what is closed when there is
// another: of a house that a peer does not admit there may be more than one
// message carries, and they must not stand before all others.
func (w *words) untold(told tellings, now int64) (out []*contain.Said, more <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.DeleteFunc(w.all, func(_ contain.Name, s *contain.Said) bool { return now >= s.Until })
	maps.DeleteFunc(told, func(n contain.Name, _ int) bool { return w.all[n] == nil })
	for n, s := range w.all {
		if told[n] != wasHeard {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b *contain.Said) int {
		return cmp.Or(cmp.Compare(told[a.Name()], told[b.Name()]), cmp.Compare(a.Time, b.Time))
	})
	if w.more == nil {
		w.more = make(chan struct{})
	}
	return out, w.more
}

// retellEvery is how often a peer that has not heard is told again.
const retellEvery = time.Second

// tellVerdicts tells one peer every verdict at once, and again until it has
// heard it or the verdict has ended.
func (k *Keeper) tellVerdicts(ctx context.Context, p Peer) {
	told := make(tellings)
	for {
		untold, more := k.words.untold(told, k.cfg.Now().Unix())
		if len(untold) == 0 || k.cfg.Mutation.skips("tell") {
			select {
			case <-ctx.Done():
				return
			case <-more:
			}
			continue
		}
		sent, err := k.tell(ctx, p, untold, told)
		if err == nil || errors.Is(err, errUntold) && sent < len(untold) && told[untold[sent].Name()] == 0 {
			continue // at once: there is one that this peer was not told yet
		}
		var retry <-chan time.Time
		if !k.cfg.Mutation.skips("again") {
			retry = time.After(retellEvery)
		}
		select {
		case <-ctx.Done():
			return
		case <-retry:
		}
	}
}

// errUntold says that a peer has not taken every verdict.
var errUntold = errors.New("a verdict was not heard")

// tell posts verdicts, as many as one message carries, notes which were heard,
// and says how many it posted.
func (k *Keeper) tell(ctx context.Context, p Peer, untold []*contain.Said, told tellings) (sent int, err error) {
	m, size := keeper.Verdicts{V: wire.Version}, 0
	for _, s := range untold {
		b := s.Marshal()
		if size += len(b) + 8; len(m.Verdicts) == keeper.VerdictsMax || size > abaton.ControlBodyMax/2 {
			break
		}
		m.Verdicts = append(m.Verdicts, b)
	}
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	answer, err := p.Call(ctx, keeper.RouteVerdict, wire.Marshal(m))
	if err != nil {
		return 0, err
	}
	var r keeper.Results
	if wire.Unmarshal(answer, &r) != nil || len(r.Results) != len(m.Verdicts) {
		return 0, abaton.Refuse(abaton.ReasonMalformed)
	}
	for i, one := range r.Results {
		name := untold[i].Name()
		if !again(one.Reason) {
			told[name] = wasHeard
			continue
		}
		told[name]++
		err = errUntold
	}
	return len(m.Verdicts), err
}

// again reports whether a verdict refused for this reason may be taken later.
func again(r abaton.Reason) bool {
	switch r {
	case abaton.ReasonLease, abaton.ReasonQuarantine, abaton.ReasonClock, abaton.ReasonStorage, abaton.ReasonTime, abaton.ReasonActor:
		return true
	}
	return false
}
