package sim

import (
	"fmt"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/custody"
	"github.com/abaton-health/abaton/internal/store"
	"github.com/abaton-health/abaton/seal"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// batchesMax is how many sealed batches a pool holds: as many as one world
// writes at most.
const batchesMax = 12

// Pool is what all worlds of one process share because it is dear to make:
// people, their sessions, sealed batches, and the keepers' disks on the first
// morning. It is not changed after NewPool and safe for concurrent use.
type Pool struct {
	set      *actor.Set
	evidence map[abaton.KeeperIndex]custody.Evidence
	org      *person
	patient  *person
	readers  [2]*person
	batches  []*batch
	byName   map[abaton.BatchName]*batch
	begins   []*actor.Authentic          // the inceptions and memberships, in order
	events   map[string]*actor.Authentic // the same by their bytes
	first    [keepers + 1]image
	feed     uint64 // statements in every keeper's feed that first morning
}

// image is both engines of one keeper at one moment.
type image struct{ records, keys store.Image }

// batch is one sealed batch and what each keeper is handed of it.
type batch struct {
	id         int
	name       abaton.BatchName
	records    int
	head, lock []byte
	lockHash   [32]byte
	checked    [keepers + 1]*spread.Checked
	locks      [locksMax + 1]lockOf                     // by number, from 1
	rekeys     [locksMax + 1][keepers + 1]*spread.Rekey // from number 2
}

// lockOf is one lock of a batch.
type lockOf struct {
	signed wire.Signed
	lock   *spread.Lock
	hash   spread.Hash32
}

// locksMax is the highest number of a lock in a world.
const locksMax = 6

func (b *batch) all() uint64 { return 1<<b.records - 1 }

// NewPool makes the people, seals the batches and lives the first morning: the
// inceptions certified by all keepers.
func NewPool() (*Pool, error) {
	set, err := newSet()
	if err != nil {
		return nil, fmt.Errorf("make keeper set: %w", err)
	}
	p := &Pool{set: set, evidence: evidenceOf(set), byName: make(map[abaton.BatchName]*batch), events: make(map[string]*actor.Authentic)}
	for _, step := range []func() error{p.people, p.morning, p.sealBatches} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("make pool: %w", err)
		}
	}
	return p, nil
}

func (p *Pool) people() (err error) {
	if p.org, err = newOrganisation(p.set); err != nil {
		return err
	}
	for i := range p.readers {
		if p.readers[i], err = newClinician(p.set, p.org); err != nil {
			return err
		}
	}
	if p.patient, err = newPatient(p.set, p.org); err != nil {
		return err
	}
	p.begins = []*actor.Authentic{p.org.inception, p.patient.inception}
	last := p.org.inception.Hash()
	for i, r := range p.readers {
		taken, err := p.org.takeOn(r, uint64(i+1), last)
		if err != nil {
			return err
		}
		last = taken.Hash()
		p.begins = append(p.begins, r.inception, r.device.inception, taken)
	}
	return nil
}

// morning brings the inceptions into force and signs everybody in.
func (p *Pool) morning() error {
	var checkpoints [][]byte
	for x := abaton.KeeperIndex(1); x <= keepers; x++ {
		records, keys := store.NewMemory(), store.NewMemory()
		s, err := store.New(records, keys)
		if err != nil {
			return err
		}
		core, err := custody.NewCore(coreConfig(p.set, p.evidence, x, p.org.id), s, dawn.Add(-time.Minute))
		if err != nil {
			return err
		}
		_, empty := core.Answers().Ledger().Checkpoint()
		checkpoints = append(checkpoints, empty)
		if err := p.incept(core); err != nil {
			return fmt.Errorf("keeper %d: %w", x, err)
		}
		p.feed = s.FeedHead()
		p.first[x] = image{records: records.Snapshot(), keys: keys.Snapshot()}
	}
	for _, r := range p.readers {
		if err := r.signIn(p.set, p.org, time.Hour, checkpoints); err != nil {
			return err
		}
	}
	return p.patient.signIn(p.set, nil, 15*time.Minute, checkpoints)
}

// incept has one keeper vote for the inceptions and take their certificates.
func (p *Pool) incept(core *custody.Core) error {
	now := dawn.Add(-time.Minute)
	core.Step(now, []custody.Input{custody.Heard{Peer: 1}, custody.Heard{Peer: 2}, custody.Heard{Peer: 3}})
	for _, a := range p.begins {
		p.events[string(a.Signed().Event)] = a
		place := actor.Place{Actor: a.Actor(), Seq: a.Event().Seq, Hash: a.Hash()}
		var votes []actor.Vote
		for y := abaton.KeeperIndex(1); y <= keepers; y++ {
			votes = append(votes, vote(y, place))
		}
		cert := actor.NewCertificate(place, votes)
		for _, in := range []custody.Input{
			custody.Publish{Event: a}, custody.Certify{Event: a, Certificate: cert, Certified: cert.Reopen()},
		} {
			if out := core.Step(now, []custody.Input{in}); out[0].Err != nil {
				return out[0].Err
			}
		}
	}
	return nil
}

func (p *Pool) sealBatches() error {
	n, k, t, xs := p.set.Shape()
	shape := spread.Shape{N: n, K: k, T: t}
	for _, x := range xs {
		shape.X = append(shape.X, abaton.KeeperIndex(x))
	}
	var prev abaton.BatchName
	for id := range batchesMax {
		b, err := p.sealBatch(id, prev, shape)
		if err != nil {
			return err
		}
		prev = b.name
		p.batches = append(p.batches, b)
		p.byName[b.name] = b
	}
	return nil
}

// sealBatch seals one or two records; two make a batch of three, with their
// index.
func (p *Pool) sealBatch(id int, prev abaton.BatchName, shape spread.Shape) (*batch, error) {
	var records []seal.Record
	for j := range 1 + id%2 {
		name := fmt.Sprintf("r-%d-%d", id, j)
		records = append(records, seal.Record{
			Envelope: seal.Envelope{
				Patient: p.patient.id, Line: p.patient.line(), Kind: seal.KindResource, Type: "Observation", ID: name,
				VersionID: "aaaqeayeaudaocajbifqydiob4", LastUpdated: uint64(dawn.UnixMilli()),
			},
			Content: []byte(`{"resourceType":"Observation","id":"` + name + `"}`),
		})
	}
	sealed, err := seal.Seal(seal.Batch{
		Patient: p.patient.id, Line: p.patient.line(), Segment: p.patient.root.Segment(general, 1).Public(),
		Set: p.set.ID(), Shape: shape, Writer: p.org.writer, Seq: uint64(id + 1), PrevHead: prev,
		Hour: uint32(dawn.Unix() / 3600), Author: seal.Author{Actor: p.org.id, Key: p.org.writer}, Records: records,
	})
	if err != nil {
		return nil, err
	}
	b := &batch{
		id: id, name: sealed.Name, head: wire.Marshal(sealed.Head), lock: wire.Marshal(sealed.Lock),
		lockHash: spread.LockHash(sealed.Lock.Body),
	}
	for i, u := range sealed.Uploads {
		x := shape.X[i]
		if b.checked[x], err = spread.Check(u, shape, p.set.ID(), x); err != nil {
			return nil, err
		}
		b.records = len(b.checked[x].Rows)
	}
	return b, p.lockAnew(b, sealed, shape)
}

// lockAnew makes the locks that a batch may get in a world, each continuing the
// one before.
func (p *Pool) lockAnew(b *batch, sealed *seal.Sealed, shape spread.Shape) error {
	g, err := spread.NewGather(b.name, b.all(), shape, p.set.ID(), func(*spread.Head, *spread.Lock) error { return nil })
	if err != nil {
		return err
	}
	for _, x := range shape.X[:shape.T] {
		piece, err := spread.MakePiece(b.checked[x].Stored(), b.all())
		if err != nil {
			return err
		}
		if err := g.Add(x, piece.Bytes()); err != nil {
			return err
		}
	}
	segment, gathered := p.patient.root.Segment(general, 1), g.Result()
	authors := func(abaton.ActorID) []abaton.KeyID { return []abaton.KeyID{p.org.writer.ID()} }
	b.locks[1] = lockOf{signed: sealed.Lock, lock: b.checked[1].Lock, hash: b.lockHash}
	for n := 2; n <= locksMax; n++ {
		made, err := seal.Relock(segment, gathered, authors, seal.Relocking{
			Segment: segment.Public(), Set: p.set.ID(), Shape: shape, Locker: p.patient.manage, Continues: b.locks[n-1].lock,
		})
		if err != nil {
			return err
		}
		lock, err := spread.DecodeLock(made.Lock.Body)
		if err != nil {
			return err
		}
		b.locks[n] = lockOf{signed: made.Lock, lock: lock, hash: spread.LockHash(made.Lock.Body)}
		for i, r := range made.Rekeys {
			b.rekeys[n][shape.X[i]] = r
		}
	}
	return nil
}
