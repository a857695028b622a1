package custody

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/internal/store"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// Config says which keeper this is. Log may be nil (discard), Now may be nil
// (the system clock).
type Config struct {
	Set   *actor.Set
	Index abaton.KeeperIndex
	// Incarnation is this keeper's own; if the set has another, a copy was
	// restored, and it stays in quarantine.
	Incarnation [16]byte
	Key         *key.Signing // signs receipts, votes, replies, the ledger
	Box         *key.Box     // opens uploads
	Store       *store.Store
	Admitted    []abaton.ActorID
	Budget      Budget
	Log         *slog.Logger
	Now         func() time.Time
	Mutation    Mutation // empty but in the mutant build
}

// Keeper is a running keeper: the shell around Core. Safe for concurrent use.
type Keeper struct {
	cfg      Config
	shape    spread.Shape
	store    *store.Store
	core     *Core // owned by run
	sessions sessions
	jobs     chan job
	stop     chan struct{}
	done     chan struct{}
	closing  sync.Once
	modeMu   sync.Mutex
	mode     Mode
	clock    Clock
	repairs  repairs
	words    words
	vouched  vouched
	looking  chan struct{} // room for those who read the ledger for a look
	replyMax int           // bytes of all pieces of one reply
	pageMax  int           // bytes of the key logs of one answer to a query
}

// replyMax leaves room in abaton.ReplyBodyMax for what is around the pieces.
const replyMax = abaton.ReplyBodyMax - 1<<20

// job is what one caller wants decided together.
type job struct {
	inputs []Input
	answer chan []Output
}

// tickEvery lets nonces expire and the checkpoint be signed anew.
const tickEvery = 5 * time.Second

// Open opens the ledger, checks it whole and starts deciding. The store stays
// the caller's to close, after Close.
func Open(cfg Config) (*Keeper, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Now = cfg.Mutation.clock(cfg.Now)
	coreConfig, err := coreConfig(cfg)
	if err != nil {
		return nil, err
	}
	core, err := NewCore(coreConfig, cfg.Store, cfg.Now())
	if err != nil {
		return nil, err
	}
	k := &Keeper{
		cfg: cfg, shape: shapeOf(cfg.Set), store: cfg.Store, core: core,
		sessions: newSessions(), jobs: make(chan job, groupMax),
		stop: make(chan struct{}), done: make(chan struct{}), mode: core.Mode(),
		replyMax: replyMax, pageMax: statementBytesMax, looking: make(chan struct{}, looksAtOnce),
	}
	k.words.add(core.takeWords())
	go k.run()
	return k, nil
}

// shapeOf is how records are spread over the set.
func shapeOf(set *actor.Set) spread.Shape {
	n, k, t, xs := set.Shape()
	shape := spread.Shape{N: n, K: k, T: t}
	for _, x := range xs {
		shape.X = append(shape.X, abaton.KeeperIndex(x))
	}
	return shape
}

// coreConfig derives the ledger's signers and every keeper's verifiers from
// the set.
func coreConfig(cfg Config) (CoreConfig, error) {
	own := cfg.Set.Keeper(cfg.Index)
	if own == nil || own.Key != cfg.Key.ID() {
		return CoreConfig{}, errors.New("keeper set: this keeper's key does not stand at its index")
	}
	signer, err := ledger.NewSigner(own.Origin, cfg.Key)
	if err != nil {
		return CoreConfig{}, fmt.Errorf("ledger signer: %w", err)
	}
	evidence, err := EvidenceOf(cfg.Set)
	if err != nil {
		return CoreConfig{}, err
	}
	origins := make(map[string]note.Verifier)
	for x, e := range evidence {
		if x != cfg.Index {
			origins[e.Origin] = e.Ledger
		}
	}
	cosigner := signer.Cosigner()
	former, err := formerVerifiers(cfg.Set.Former(cfg.Index))
	if err != nil {
		return CoreConfig{}, err
	}
	return CoreConfig{
		Set: cfg.Set, Index: cfg.Index, Admitted: cfg.Admitted, Budget: cfg.Budget, Evidence: evidence,
		Mutation: cfg.Mutation, Stale: own.Incarnation != cfg.Incarnation,
		Ledger: ledger.Config{
			Origin: own.Origin, Keeper: cfg.Index, Signer: signer, Verifier: signer.Verifier(), Cosigner: cosigner,
		},
		Witness: ledger.WitnessConfig{Cosigner: cosigner, Own: cosigner.Verifier(), Former: former, Origins: origins},
		Verdict: func(v contain.Verdict) (*contain.Said, error) { return contain.Sign(cfg.Key, v) },
		Receipt: func(body []byte) []byte { return wire.Marshal(cfg.Key.Seal(wire.Receipt, body)) },
	}, nil
}

// EvidenceOf gives the verifiers of every keeper's ledger.
func EvidenceOf(set *actor.Set) (map[abaton.KeeperIndex]Evidence, error) {
	out := make(map[abaton.KeeperIndex]Evidence)
	for i := range set.Keepers {
		k := &set.Keepers[i]
		v, err := ledger.NewVerifier(k.Origin, k.Key)
		if err != nil {
			return nil, fmt.Errorf("ledger verifier of keeper %d: %w", k.X, err)
		}
		d, err := ledger.NewCosignatureVerifier(k.Origin, k.Key)
		if err != nil {
			return nil, fmt.Errorf("ledger verifier of keeper %d: %w", k.X, err)
		}
		out[k.X] = Evidence{Origin: k.Origin, Ledger: v, Dated: d}
	}
	return out, nil
}

// run owns the core: it gathers what waits into one group and decides it.
func (k *Keeper) run() {
	defer close(k.done)
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for {
		select {
		case <-k.stop:
			return
		case <-tick.C:
			k.step([]job{{inputs: []Input{Tick{}}}})
		case first := <-k.jobs:
			k.step(k.gather(first))
		}
	}
}

// gather takes what else is waiting, so that one fsync serves all of it.
// A group costs two signatures of the ledger however large it is, so those who
// are about to hand something in are let go first; alone, this waits for nobody.
func (k *Keeper) gather(first job) []job {
	runtime.Gosched()
	jobs, n := []job{first}, len(first.inputs)
	for n < groupMax {
		select {
		case j := <-k.jobs:
			jobs, n = append(jobs, j), n+len(j.inputs)
		default:
			return jobs
		}
	}
	return jobs
}

func (k *Keeper) step(jobs []job) {
	var inputs []Input
	for _, j := range jobs {
		inputs = append(inputs, j.inputs...)
	}
	out := k.core.Step(k.cfg.Now(), inputs)
	k.words.add(k.core.takeWords())
	k.noteMode(k.core.Mode())
	k.noteClock(k.core.clock.reading())
	for _, j := range jobs {
		if j.answer != nil {
			j.answer <- out[:len(j.inputs)]
		}
		out = out[len(j.inputs):]
	}
}

func (k *Keeper) noteMode(m Mode) {
	k.modeMu.Lock()
	defer k.modeMu.Unlock()
	if m == k.mode {
		return
	}
	k.mode = m
	level := slog.LevelInfo
	if m == Stopped || m == Quarantined {
		level = slog.LevelError
	}
	k.cfg.Log.Log(context.Background(), level, "keeper mode", "mode", m.String())
}

// Mode is what this keeper does now.
func (k *Keeper) Mode() Mode {
	k.modeMu.Lock()
	defer k.modeMu.Unlock()
	return k.mode
}

// String is the word for m in logs and health answers.
func (m Mode) String() string {
	switch m {
	case Starting:
		return "starting"
	case Serving:
		return "serving"
	case Quarantined:
		return "quarantined"
	case Stopped:
		return "stopped"
	}
	return "unknown"
}

// ErrClosed says that the keeper is shutting down.
var ErrClosed = errors.New("keeper is shutting down")

// submit has inputs decided, in order, and returns their outputs once they
// are durable. A caller that goes away does not undo them.
func (k *Keeper) submit(ctx context.Context, inputs ...Input) ([]Output, error) {
	if len(inputs) == 0 {
		return nil, nil
	}
	j := job{inputs: inputs, answer: make(chan []Output, 1)}
	select {
	case k.jobs <- j:
	case <-k.stop:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case out := <-j.answer:
		return out, nil
	case <-k.done:
		return nil, ErrClosed
	}
}

// LedgerSize is how many entries this keeper's ledger has.
func (k *Keeper) LedgerSize() uint64 { return k.core.log.Size() }

// Cosigners are the peers whose cosignatures stand on this keeper's newest
// tree.
func (k *Keeper) Cosigners() ([]string, error) {
	signed, err := k.checkpoint(context.Background(), "", nil)
	if err != nil {
		return nil, err
	}
	_, names, err := ledger.Cosigners(signed, k.peerVerifiers()...)
	return names, err
}

// Close stops deciding. Requests that wait get ErrClosed.
func (k *Keeper) Close() {
	k.closing.Do(func() { close(k.stop) })
	<-k.done
}
