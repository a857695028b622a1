package custody

import (
	"context"
	"fmt"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/session"
)

// CoreOf is the core of a keeper that does not run.
func CoreOf(cfg Config) (*Core, error) {
	c, err := coreConfig(cfg)
	if err != nil {
		return nil, err
	}
	return NewCore(c, cfg.Store, time.Unix(1_800_000_000, 0))
}

// CoreAt is CoreOf at a time.
func CoreAt(cfg Config, now time.Time) (*Core, error) {
	c, err := coreConfig(cfg)
	if err != nil {
		return nil, err
	}
	return NewCore(c, cfg.Store, now)
}

// ClockNow is what the core thinks of its clock.
func (c *Core) ClockNow() Clock { return c.clock.reading() }

// FoundNow is how often this core found something.
func (c *Core) FoundNow(r abaton.Reason) (uint64, error) { return countAt(c.store, findingName(r)) }

// Findable are the reasons that a keeper finds.
func Findable() []abaton.Reason { return findable() }

// OpenMax is openMax, for tests.
const OpenMax = openMax

// PageMax sets how large the statements of one answer to a query may be.
func (k *Keeper) PageMax(bytes int) { k.pageMax = bytes }

// ReplyMax sets how large the pieces of one reply may be.
func (k *Keeper) ReplyMax(bytes int) { k.replyMax = bytes }

// ReadPrepare decodes what comes in a box, for the fuzzer.
func ReadPrepare(message []byte) error {
	_, err := readPrepare(message)
	return err
}

// ReadCommit decodes a commit and says how many locks it names.
func ReadCommit(body []byte, set *actor.Set) (int, error) {
	in, err := readCommit(body, set)
	return len(in.Locks), err
}

// EntryAt is one entry of this keeper's ledger.
func (k *Keeper) EntryAt(index uint64) (ledger.Entry, error) {
	return k.core.log.Entry(index)
}

// heardNow asks how many peers were heard within a lease.
type heardNow struct{}

func (heardNow) slot() string { return "" }

func (heardNow) decide(c *Core, t *tx) Output {
	return Output{Entry: uint64(c.heardOf(t.now, abaton.LeaseMax))}
}

// HeardNow is how many peers were heard within a lease.
func (k *Keeper) HeardNow() int {
	out, err := k.one(context.Background(), heardNow{})
	if err != nil {
		return 0
	}
	return int(out.Entry)
}

// HandedOverBy are the leaves this keeper has of x's erased shares.
func (k *Keeper) HandedOverBy(x abaton.KeeperIndex, patient abaton.ActorID, batch abaton.BatchName, records uint64) ([]keeper.RepairedLeaf, error) {
	return k.handedOver(x, patient, batch, records)
}

// PartContext binds a sum of x to its repair.
func PartContext(set abaton.ActorID, asker abaton.KeyID, q *keeper.Repair, x abaton.KeeperIndex) []byte {
	return partContext(runOf(set, asker, q), x, q.Keeper)
}

// Decide is Release up to the ledgered outcome, without the answer; what was
// refused is an error.
func (k *Keeper) Decide(ctx context.Context, body []byte) error {
	asked, err := session.ParseRequest(body)
	if err != nil {
		return err
	}
	now := k.cfg.Now()
	open := k.sessions.find(asked.Session, now)
	if open == nil {
		return abaton.Refuse(abaton.ReasonNoSession)
	}
	if err := asked.Authenticate(open.session, now); err != nil {
		return err
	}
	out, err := k.one(ctx, k.request(open, asked, now))
	if err == nil && out.Outcome != ledger.Permitted {
		return abaton.Refuse(out.Reason)
	}
	return err
}

// ReadFeed reads what peer x answered to a query.
func (k *Keeper) ReadFeed(x abaton.KeeperIndex, query [32]byte, answer []byte) error {
	_, err := k.readFeed(x, query, answer)
	return err
}

// relationOf asks what is known of who opens a patient's record.
type relationOf struct {
	who     opener
	patient abaton.ActorID
}

func (relationOf) slot() string { return "" }

func (r relationOf) decide(c *Core, t *tx) Output {
	known, err := c.relation(t, r.who, r.patient)
	if err != nil {
		return t.fail(err)
	}
	return Output{finish: func(o *Output) { o.Bytes = fmt.Appendf(nil, "%+v", known) }}
}

// RelationOf is what the keeper knows of somebody who opens a patient's record:
// a Relation, printed.
func (k *Keeper) RelationOf(organisation, who, behalf abaton.ActorID, named bool, patient abaton.ActorID) (string, error) {
	out, err := k.one(context.Background(), relationOf{who: opener{organisation, who, behalf, named}, patient: patient})
	return string(out.Bytes), err
}

type offShiftOf struct{ who opener }

func (o offShiftOf) slot() string { return relationOf{}.slot() }

func (o offShiftOf) decide(c *Core, t *tx) Output {
	off, err := c.offShift(o.who, t.now)
	if err != nil {
		return t.fail(err)
	}
	return Output{finish: func(o *Output) { o.Bytes = fmt.Append(nil, off) }}
}

// OffShiftOf is whether the keeper takes a clinician to be off shift: true or
// false, printed.
func (k *Keeper) OffShiftOf(organisation, who, behalf abaton.ActorID) (string, error) {
	out, err := k.one(context.Background(), offShiftOf{opener{organisation, who, behalf, false}})
	return string(out.Bytes), err
}

// RelationCount is how many entries the keeper counts of an organisation, and
// how many it has.
func (k *Keeper) RelationCount(organisation abaton.ActorID) (counted, has int, err error) {
	n, err := countAt(k.store, relationsName(organisation))
	if err != nil {
		return 0, 0, err
	}
	err = k.store.Raw(relationSpace).Scan(nil, nil, func(key, _ []byte) bool {
		if [32]byte(key[32:64]) == organisation {
			has++
		}
		return true
	})
	return int(n), has, err
}

// Sweep lets time pass at the keeper.
func (k *Keeper) Sweep() error {
	_, err := k.one(context.Background(), Tick{})
	return err
}

// BoundRelations sets how many relations of one organisation this keeper keeps.
func (k *Keeper) BoundRelations(most uint64) { k.core.told.most = most }

// ReadRelation reads one entry as it is kept.
func ReadRelation(key, value []byte) (any, error) { return readRelation(key, value) }

// TellVerdicts tells a peer these verdicts until the context ends.
func (k *Keeper) TellVerdicts(ctx context.Context, p Peer, said ...*contain.Said) {
	other := &Keeper{cfg: k.cfg}
	other.words.add(said)
	other.tellVerdicts(ctx, p)
}
