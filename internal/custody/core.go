// Package custody is the one room that accepts, decides, ledgers and
// releases. Core is the protocol state of one keeper without any input or
// output of its own: inputs in, one durable commit, outputs out. Keeper is the
// thin shell around it: it decodes, checks signatures, gathers concurrent
// requests into groups and answers.
//
//	k, err := custody.Open(config)
//	handler := keeper.NewHandler(k.Table(), nil, nil, nil)
//
// It does not protect against its own operator: a keeper's pieces alone open
// nothing, and that, not this code, is what a thief of the disk meets.
package custody

import (
	"errors"
	"fmt"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/internal/store"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/wire"
)

// CoreConfig says which keeper this is. All fields are needed but Admitted.
type CoreConfig struct {
	Set      *actor.Set
	Index    abaton.KeeperIndex
	Ledger   ledger.Config
	Witness  ledger.WitnessConfig
	Evidence map[abaton.KeeperIndex]Evidence // of every keeper of the set
	Admitted []abaton.ActorID                // organisations this operator admits
	Budget   Budget
	// Receipt signs a receipt's body; the result is what depositors get.
	Receipt func(body []byte) []byte
	// Verdict signs this keeper's verdicts. Nil: it makes none, and its own
	// findings hold back all the same.
	Verdict func(contain.Verdict) (*contain.Said, error)
	// Stale: this keeper's incarnation is not the one the set has. It serves
	// its feed and evidence, and nothing else.
	Stale bool
	// Mutation is empty but in the mutant build.
	Mutation Mutation
}

// Core is one keeper's protocol state. It is not safe for concurrent use but
// for the methods that say so; Keeper runs it from one goroutine.
type Core struct {
	cfg      CoreConfig
	store    *store.Store
	log      *ledger.Log
	room     room // of log
	witness  *ledger.Witness
	actors   *actors
	branches branches
	admitted map[abaton.ActorID]bool
	heard    map[abaton.KeeperIndex]time.Time
	counters counters
	clock    clock
	windows  windows
	policies *policySets
	watching watching
	told     *toldRelations
	resigned time.Time
	mode     Mode
	owing    bool // entries may wait in owedSpace
	looks    looks
	// recovering: the ledger follows a lost one and has no entry yet.
	recovering bool
}

// Mode is what a keeper does. Zero is no mode.
type Mode uint8

// The modes of a keeper.
const (
	Starting    Mode = 1 // has not heard two peers yet: appends nothing, it may have been rolled back
	Serving     Mode = 2 // answers while its lease holds
	Quarantined Mode = 3 // its ledger is shorter than a peer remembers: feeds only (RULINGS 14)
	Stopped     Mode = 4 // a write failed: nothing but a new start helps
)

// NewCore opens the ledger in the store, or begins one at first start.
func NewCore(cfg CoreConfig, s *store.Store, now time.Time) (*Core, error) {
	c := &Core{
		cfg: cfg, store: s, mode: Starting,
		actors:   newActors(s, cfg.Index),
		branches: make(branches),
		admitted: make(map[abaton.ActorID]bool),
		heard:    make(map[abaton.KeeperIndex]time.Time),
		counters: newCounters(),
		windows:  make(windows),
		told:     newToldRelations(),
		watching: newWatching(cfg.Index, cfg.Mutation),
		resigned: now,
		owing:    true,
	}
	for _, id := range cfg.Admitted {
		c.admitted[id] = true
	}
	var err error
	if c.policies, err = newPolicySets(); err != nil {
		return nil, err
	}
	if err := c.sweepWindows(now); err != nil {
		return nil, err
	}
	if err := c.openLedger(now); err != nil {
		return nil, err
	}
	w, err := ledger.OpenWitness(cfg.Witness, s.Raw(ledgerSpace))
	if err != nil {
		return nil, fmt.Errorf("open witness: %w", err)
	}
	c.witness = w
	return c, c.resumeWatch(now)
}

// ledgerSpace is the keyspace of the first ledger and of the witness.
const ledgerSpace = 'l'

// Input is one authenticated thing to decide: Deposit, Prepare, Commit, Request,
// Publish, Certify, WriteBack, Admit, Heard, Cosign or Cosigned.
type Input interface {
	// slot names what the input touches; two inputs with one slot are never
	// decided in one group, because the second must see what the first wrote.
	slot() string
	decide(c *Core, t *tx) Output
}

// Output is the answer to one input; which fields are set depends on it. Err
// is a RefusedError, or nil.
type Output struct {
	Err        error
	Bytes      []byte        // a receipt's body, a cosignature line
	Place      actor.Place   // what to vote for
	Entry      uint64        // index in the ledger
	Checkpoint []byte        // signed note that covers Entry
	Ledgered   bool          // Entry and Checkpoint are set
	Granted    []Row         // rows to release, for requests
	Lines      []abaton.Line // lines to list, for requests
	Escrow     *actor.Escrow // whose share to release, for requests
	Opened     bool          // the share is an emergency set's, for requests
	Outcome    ledger.Outcome
	Reason     abaton.Reason
	Time       time.Time
	Each       []abaton.Reason  // of each lock of a Commit; empty: in force
	Openings   []keeper.Opening // for a query of them
	Held       []keeper.Held    // for a query of whom the watch holds
	Steer      *keeper.Steer    // for a query of what officers decide by

	finish func(*Output) // run once durable
}

// tx is one group: everything decided together and made durable by one
// commit.
type tx struct {
	now      time.Time
	change   store.Change
	entries  []ledger.Entry
	after    []func(g *ledger.Group) // run once durable
	erasure  *erasure
	used     []abaton.GrantID          // counts moved in this group
	reunited []*actor.Authentic        // branches that came in with a merge
	marked   map[string]bool           // one-time names taken in this group
	counts   map[abaton.ActorID]uint64 // counters moved in this group
	notes    map[string][]byte         // what this keeper notes in this group, by name
	gone     uint64                    // leaves handed over, with this group's
	err      error                     // storage failed while deciding
}

func (t *tx) mark(name string) { t.marked[name] = true }

// groupMax bounds one group, well below the ledger's own limit.
const groupMax = 256

// Step decides inputs in order, makes everything durable and only then
// returns the outputs. One fsync serves the group. If that fails the keeper
// stops for good: what lies on the disk is unknown.
func (c *Core) Step(now time.Time, in []Input) []Output {
	out := make([]Output, len(in))
	rest := make([]int, len(in))
	for i := range in {
		rest[i] = i
	}
	for len(rest) > 0 {
		rest = c.round(now, in, out, rest)
	}
	if c.appends() && c.recovering {
		c.round(now, nil, nil, nil) // its first entry waits for nobody
	}
	return out
}

// round decides as many of the inputs as have slots of their own and returns
// the others.
func (c *Core) round(now time.Time, in []Input, out []Output, todo []int) (later []int) {
	c.actors.trim()
	c.windows.trim()
	c.told.trim()
	t := &tx{now: now, marked: make(map[string]bool), counts: make(map[abaton.ActorID]uint64), notes: make(map[string][]byte)}
	taken := make(map[string]bool)
	var done []int
	if c.appends() && c.recovering {
		c.beginAgain(t)
	}
	if c.appends() && c.owing {
		c.payOwed(t)
	}
	for n, i := range todo {
		s := in[i].slot()
		if s != "" && taken[s] || t.erasure != nil || len(done) == groupMax {
			later = append(later, i)
			continue
		}
		if n > 0 && isErasure(in[i]) { // erasures commit alone
			later = append(later, i)
			continue
		}
		if _, hears := in[i].(Heard); hears && len(t.entries) > 0 { // it may forbid to append
			later = append(later, i)
			continue
		}
		taken[s] = true
		if c.mode == Stopped {
			out[i] = refused(abaton.ReasonStorage)
		} else {
			out[i] = in[i].decide(c, t)
		}
		done = append(done, i)
	}
	if c.mode != Stopped && !c.commit(t) {
		c.mode = Stopped
		for _, i := range done {
			out[i] = refused(abaton.ReasonStorage)
		}
		return later
	}
	for _, i := range done {
		if f := out[i].finish; f != nil {
			f(&out[i])
		}
	}
	return later
}

// commit makes t durable; false means the keeper must stop.
func (c *Core) commit(t *tx) bool {
	if t.err != nil {
		return false
	}
	group, err := c.ledgerGroup(t)
	if err != nil {
		return false
	}
	if err := c.write(t); err != nil {
		if group != nil {
			group.Abort()
		}
		return false
	}
	if group != nil {
		group.Commit()
	}
	for _, f := range t.after {
		f(group)
	}
	return true
}

func (c *Core) write(t *tx) error {
	switch {
	case t.erasure != nil:
		return t.erasure.commit(c.store, &t.change)
	case t.change.Len() == 0:
		return nil
	}
	return c.store.Commit(&t.change)
}

// ledgerGroup appends the entries of t, or signs the checkpoint anew when it
// is a minute old.
func (c *Core) ledgerGroup(t *tx) (*ledger.Group, error) {
	w := c.room.into(&t.change)
	switch {
	case len(t.entries) > 0:
		c.resigned = t.now
		return c.log.Append(w, t.entries, t.now)
	case t.now.Sub(c.resigned) >= abaton.ResignInterval && c.appends():
		c.resigned = t.now
		return c.log.Resign(w, t.now)
	}
	return nil, nil
}

// owedSpace holds the entries of events that came into force while this keeper
// must not append: it may have lost the end of its ledger, or the time.
const owedSpace = 'o'

// record ledgers an event that came into force: now, or once this keeper
// serves.
func (c *Core) record(t *tx, e ledger.Entry) {
	if c.appends() && !c.recovering {
		t.enter(e)
		return
	}
	c.owing = true
	c.store.Raw(owedSpace).Into(&t.change).Put(append([]byte{byte(e.Op)}, e.Request[:]...), wire.Marshal(e))
}

// payOwed ledgers what waited, at most groupMax entries of it.
func (c *Core) payOwed(t *tx) {
	space, n := c.store.Raw(owedSpace), 0
	var bad error
	err := space.Scan(nil, nil, func(key, value []byte) bool {
		var e ledger.Entry
		if bad = wire.Unmarshal(value, &e); bad != nil {
			return false
		}
		t.enter(e)
		space.Into(&t.change).Delete(key)
		n++
		return n < groupMax
	})
	if t.err = errors.Join(err, bad); t.err == nil {
		c.owing = n == groupMax
	}
}

// enter adds an entry and returns its place in the group.
func (t *tx) enter(e ledger.Entry) int {
	t.entries = append(t.entries, e)
	return len(t.entries) - 1
}

// fail records that the store could not be read: the group must not commit.
func (t *tx) fail(err error) Output {
	t.err = err
	return refused(abaton.ReasonStorage)
}

func refused(r abaton.Reason) Output { return Output{Err: abaton.Refuse(r), Reason: r} }
