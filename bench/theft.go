package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/custody"
	"github.com/abaton-health/abaton/internal/report"
	"github.com/abaton-health/abaton/internal/store"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/wire"
)

// theft is five keepers in one process, after a stolen program read a patient's
// record, and another's, and another's.
type theft struct {
	set     *actor.Set
	org     house
	net     *client.Network
	keepers []*vault
	robbed  map[abaton.ActorID]bool
	since   int64
}

// house is an organisation as far as it asks.
type house struct {
	id     abaton.ActorID
	manage *key.Signing
	event  actor.SignedEvent
}

// vault is one keeper with its store on disk.
type vault struct {
	*custody.Keeper
	table  *keeper.Table
	store  *store.Store
	stop   context.CancelFunc
	gone   sync.WaitGroup
	key    *key.Signing
	box    *key.Box
	origin string
	here   actor.Keeper

	entries uint64 // in its ledger
}

// Call is client.Keeper and custody.Peer.
func (v *vault) Call(ctx context.Context, route string, body []byte) ([]byte, error) {
	return v.table.Call(ctx, route, body)
}

func newTheft(ctx context.Context, dir string, b *bench) (*theft, error) {
	w := &theft{robbed: make(map[abaton.ActorID]bool, b.patients), since: time.Now().Add(-40 * 24 * time.Hour).Unix()}
	if err := w.makeSet(); err != nil {
		return nil, err
	}
	w.makeHouse()
	for n := range b.patients {
		w.robbed[patientNo(n)] = true
	}
	began := time.Now()
	if err := w.each(func(v *vault) error { return w.fill(ctx, dir, v, b.patients) }); err != nil {
		return nil, errors.Join(fmt.Errorf("fill ledger: %w", err), w.close())
	}
	fmt.Fprintf(b.talk, "  ledgers filled in %s\n", time.Since(began).Round(time.Second))
	began = time.Now()
	if err := w.each(w.open); err != nil {
		return nil, errors.Join(fmt.Errorf("open keeper: %w", err), w.close())
	}
	fmt.Fprintf(b.talk, "  keepers checked their ledgers in %s\n", time.Since(began).Round(time.Second))
	return w, w.begin(ctx)
}

// each does something for all keepers at once.
func (w *theft) each(do func(*vault) error) error {
	errs := make([]error, len(w.keepers))
	var all sync.WaitGroup
	for i, v := range w.keepers {
		all.Go(func() { errs[i] = do(v) })
	}
	all.Wait()
	return errors.Join(errs...)
}

func (w *theft) makeSet() error {
	d := actor.Document{V: wire.Version, N: 5, K: 3, T: 3, W: 4, F: 1, RelyingParty: key.RelyingParty{ID: "localhost", Origins: []string{"https://localhost"}}, Wait: 30}
	for x := abaton.KeeperIndex(1); x <= 5; x++ {
		v := &vault{key: key.NewSigning(), box: key.NewBox(), origin: fmt.Sprintf("keeper%d.bench/ledger", x)}
		v.here = actor.Keeper{X: x, Key: v.key.ID(), Box: v.box.Public().Bytes(), URL: fmt.Sprintf("https://keeper%d.bench:1", x),
			Operator: fmt.Sprintf("operator %d", x), SPKI: sha256.Sum256([]byte{byte(x)}), Origin: v.origin}
		rand.Read(v.here.Incarnation[:])
		d.Keepers, w.keepers = append(d.Keepers, v.here), append(w.keepers, v)
	}
	in := &actor.Inception{Kind: actor.KeeperSet, Document: d.Marshal()}
	rand.Read(in.Nonce[:])
	event := actor.NewInception(time.Now().Unix(), in)
	var proofs []actor.Proof
	for _, v := range w.keepers {
		proofs = append(proofs, actor.ByKey(v.key, event))
	}
	var err error
	w.set, err = actor.ParseSet(actor.MarshalSet([]actor.SignedEvent{actor.Signed(event, proofs...)}))
	return err
}

func (w *theft) makeHouse() {
	root, writer, box := key.NewRoot(key.NewSecret()), key.NewSigning(), key.NewBox()
	category := abaton.Category{15: 1}
	w.org.manage = key.NewSigning()
	in := &actor.Inception{Kind: actor.Organisation, Approvals: 1, Set: w.set.ID(), Box: box.Public().Bytes(),
		Keys:  []actor.Key{{ID: w.org.manage.ID(), Rights: actor.Manage}, {ID: writer.ID(), Rights: actor.Write}},
		Lines: []actor.Epoch{{Line: root.Line(category), Level: 1, Epoch: 1, Segment: root.Segment(category, 1).Public().Bytes()}}}
	rand.Read(in.Nonce[:])
	event := actor.NewInception(time.Now().Unix(), in)
	w.org.event, w.org.id = actor.Signed(event, actor.ByKey(w.org.manage, event)), actor.IDOf(event)
}

func patientNo(n int) abaton.ActorID {
	return sha256.Sum256(binary.BigEndian.AppendUint64([]byte("patient"), uint64(n)))
}

// raw is the key space of a keeper's first ledger, which custody opens too.
const raw = 'l'

// fillBytes is a keeper's memtable here: what a keeper writes in years is written at
// once.
const fillBytes = 128 << 20

// fill makes one keeper's ledger: it released to the thief what it was asked, three
// of five for each patient, and of every tenth also to another house.
func (w *theft) fill(ctx context.Context, dir string, v *vault, patients int) error {
	open := func(name string) (*store.Pebble, error) {
		return store.OpenPebble(filepath.Join(dir, fmt.Sprintf("keeper%d-%s", v.here.X, name)), store.PebbleOptions{MemTableBytes: fillBytes})
	}
	records, err := open("records")
	if err != nil {
		return err
	}
	keys, err := open("keys")
	if err != nil {
		return err
	}
	if v.store, err = store.New(records, keys); err != nil {
		return err
	}
	s, err := ledger.NewSigner(v.origin, v.key)
	if err != nil {
		return err
	}
	now := time.Unix(w.since, 0)
	var change store.Change
	room := v.store.Raw(raw)
	l, g, err := ledger.Create(ledger.Config{Origin: v.origin, Keeper: v.here.X, Signer: s, Verifier: s.Verifier(), Cosigner: s.Cosigner()}, room, room.Into(&change), now)
	if err != nil {
		return err
	}
	if err := v.store.Commit(&change); err != nil {
		return err
	}
	g.Commit()
	var waiting []ledger.Entry
	flush := func() error {
		var change store.Change
		now = now.Add(time.Second)
		g, err := l.Append(room.Into(&change), waiting, now)
		if err != nil {
			return err
		}
		if err := v.store.Commit(&change); err != nil {
			return err
		}
		g.Commit()
		waiting = waiting[:0]
		return ctx.Err()
	}
	for n := range patients {
		if (n+int(v.here.X))%5 >= 3 {
			continue
		}
		if waiting = append(waiting, w.read(n, w.org.id, stolenSession)); n%10 == 0 {
			waiting = append(waiting, w.read(n, abaton.ActorID{9}, abaton.SessionID{8}))
		}
		if len(waiting) >= ledger.GroupMax-1 {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	err = flush()
	v.entries = l.Size()
	return err
}

// read is one request for a patient's record.
func (w *theft) read(n int, house abaton.ActorID, in abaton.SessionID) ledger.Entry {
	e := ledger.Entry{Op: ledger.OpRelease, Outcome: ledger.Permitted, Actor: abaton.ActorID{7}, Organisation: house, Role: "service", Session: in,
		Patient: patientNo(n), Purpose: abaton.Treatment, Rows: []ledger.Row{{Released: 1}}}
	e.Request = sha256.Sum256(append(house[:1:1], e.Patient[:]...))
	e.Grant, e.Rows[0].Batch = abaton.GrantID(e.Request[:]), abaton.BatchName(e.Patient[:])
	return e
}

func (w *theft) open(v *vault) (err error) {
	if v.Keeper, err = custody.Open(custody.Config{Set: w.set, Index: v.here.X, Incarnation: v.here.Incarnation, Key: v.key, Box: v.box,
		Store: v.store, Admitted: []abaton.ActorID{w.org.id}, Budget: custody.Budget{PatientsPerHour: 1, PatientsPerDay: 1}}); err != nil {
		return err
	}
	v.table, err = v.Table()
	return err
}

// begin lets the keepers hear each other, and makes the house known.
func (w *theft) begin(ctx context.Context) error {
	ends := make(map[abaton.KeeperIndex]client.Keeper)
	for _, v := range w.keepers {
		peers := make(map[abaton.KeeperIndex]custody.Peer)
		for _, p := range w.keepers {
			if p != v {
				peers[p.here.X] = p
			}
		}
		ends[v.here.X] = v
		var talk context.Context
		talk, v.stop = context.WithCancel(ctx)
		v.gone.Go(func() { v.Converse(talk, peers) })
	}
	for n := 0; ; n++ {
		serving := 0
		for _, v := range w.keepers {
			if v.Mode() == custody.Serving {
				serving++
			}
		}
		if serving == len(w.keepers) {
			break
		}
		if n > 3000 {
			return errSilent
		}
		time.Sleep(20 * time.Millisecond)
	}
	var err error
	if w.net, err = client.New(client.Config{Set: w.set, Keepers: ends, Asker: w.org.manage}); err != nil {
		return err
	}
	_, err = w.net.Publish(ctx, w.org.event.Marshal())
	return err
}

// ledgered is how many entries all five ledgers have.
func (w *theft) ledgered() (n uint64) {
	for _, v := range w.keepers {
		n += v.entries
	}
	return n
}

// trust is whom the list believes.
func (w *theft) trust() *report.Trust {
	t := &report.Trust{Keepers: make(map[abaton.KeeperIndex]report.Keeper), Shape: ledger.Shape{Keepers: 5, Threshold: 3, Faulty: 1}}
	for _, v := range w.keepers {
		t.Keepers[v.here.X] = report.Keeper{Origin: v.origin, Key: v.key.ID()}
	}
	return t
}

func (w *theft) close() error {
	if w.net != nil {
		w.net.Close()
	}
	var all []error
	for _, v := range w.keepers {
		if v.stop != nil {
			v.stop()
		}
	}
	for _, v := range w.keepers {
		v.gone.Wait()
		if v.Keeper != nil {
			v.Keeper.Close()
		}
		if v.store != nil {
			all = append(all, v.store.Close())
		}
	}
	return errors.Join(all...)
}
