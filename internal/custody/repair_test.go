package custody_test

import (
	"bytes"
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/custody"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/seal"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// opens a batch from these keepers' pieces alone and gives the contents by
// place in the batch.
func (w *world) opens(t *testing.T, s *seal.Sealed, rows uint64, from ...abaton.KeeperIndex) map[uint16][]byte {
	t.Helper()
	session := w.SignIn(t, w.doctor)
	g, err := spread.NewGather(s.Name, rows, spread.FiveKeepers(), w.Set.ID(), func(*spread.Head, *spread.Lock) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range from {
		r, err := w.Ask(t.Context(), session, x, w.release(s, rows))
		if err != nil || len(r.Pieces) != 1 {
			t.Fatalf("keeper %d: %v, %d pieces, reason %q; want one", x, err, len(r.Pieces), r.Reason)
		}
		if err := g.Add(x, r.Pieces[0]); err != nil {
			t.Fatalf("keeper %d: piece: %v", x, err)
		}
	}
	opened, err := seal.Open(w.ana.Root.Segment(custodytest.General, 1), g.Result(), func(abaton.ActorID) []abaton.KeyID { return []abaton.KeyID{w.org.Writer.ID()} })
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[uint16][]byte)
	for _, o := range opened {
		if o.Err == nil {
			out[o.Name.Index] = o.Record.Content
		}
	}
	return out
}

// TestRepairOfALostKeeper: a keeper with an empty disk and new keys makes its
// pieces from the others'; then they open with two others away.
func TestRepairOfALostKeeper(t *testing.T) {
	w := newWorld(t, 1)
	w.grant = w.ana.Grant(w.doctor.ID, grant.Read, 1000)
	w.Publish(t, w.ana.Event(&actor.Granted{Grant: w.grant.Marshal()}))
	var all []*seal.Sealed
	for seq, n := range []int{1, 3, 63, 2} {
		s := w.seals(t, uint64(seq+1), n)
		w.mustDeposit(t, s)
		all = append(all, s)
	}
	w.AwaitCosigned(t, 4)
	w.Replace(t, 4)
	if got := w.Keepers[4].AwaitMode(t); got != "serving" {
		t.Fatalf("the new keeper: got %s, want serving", got)
	}
	p := w.Repair(t, 4)
	want := uint64(1 + 4 + 64 + 3) // with the indexes
	if p.Restored != want || p.Missing != 0 || p.Held != 0 || p.Running || p.Passes != 1 {
		t.Errorf("progress: got %+v, want %d restored and none missing", p, want)
	}
	for i, s := range all {
		rows := uint64(1)<<len(w.leavesOf(t, s)) - 1
		with, without := w.opens(t, s, rows, 4, 1, 5), w.opens(t, s, rows, 1, 2, 5)
		if len(with) == 0 || len(with) != len(without) {
			t.Fatalf("batch %d: opened %d and %d records, want the same", i, len(with), len(without))
		}
		for j := range with {
			if !bytes.Equal(with[j], without[j]) {
				t.Errorf("batch %d, record %d: the repaired piece gives another text", i, j)
			}
		}
	}
	if p := w.Repair(t, 4); p.Restored != 0 || p.Held != want || p.Missing != 0 {
		t.Errorf("repaired again: got %+v, want all held and nothing restored", p)
	}
	w.repairIsLedgered(t)
}

func (w *world) leavesOf(t *testing.T, s *seal.Sealed) []struct{} {
	t.Helper()
	return make([]struct{}, len(s.Uploads[0].Rows))
}

// repairIsLedgered: those that helped and the one that was helped say so in
// the patient's own history.
func (w *world) repairIsLedgered(t *testing.T) {
	t.Helper()
	for _, x := range []abaton.KeeperIndex{1, 4} {
		found := false
		for i := range w.Keepers[x].LedgerSize() {
			en, err := w.Keepers[x].EntryAt(i)
			if err != nil {
				t.Fatal(err)
			}
			found = found || en.Op.String() == "repair" && en.Patient == w.ana.ID && en.Actor == w.Set.ID()
		}
		if !found {
			t.Errorf("keeper %d has no entry of the repair", x)
		}
	}
}

// TestRepairLiarAndAbsent (T14): with one erased record in the batch, a keeper
// that gives false sums and one that is away, the newcomer keeps nothing that
// fails its leaf; when the other is back it is whole, and what was erased is
// still gone.
func TestRepairLiarAndAbsent(t *testing.T) {
	w := newWorld(t, 1)
	s := w.seals(t, 1, 3)
	w.mustDeposit(t, s)
	erase := &actor.Erase{Rows: []actor.Row{{Batch: s.Name, Bits: 0b0100}}}
	w.Publish(t, w.ana.Event(erase))
	w.awaitHandedOver(t, 4, s.Name, 2)
	w.AwaitCosigned(t, 4)
	w.Replace(t, 4)
	w.Keepers[4].AwaitMode(t)
	w.liesInRepair(1)
	w.Keepers[2].Down(true)
	p := w.Repair(t, 4)
	if p.Restored != 0 || p.Missing != 3 {
		t.Errorf("with a liar and one away: got %+v, want nothing restored and three records missing", p)
	}
	if _, err := w.Keepers[4].Store.Notice(w.ana.ID, s.Name); err == nil {
		t.Fatal("the newcomer keeps a batch whose shares fail their leaves")
	}
	w.Keepers[2].Down(false)
	if p := w.Repair(t, 4); p.Restored != 3 || p.Missing != 0 {
		t.Errorf("with a liar: got %+v, want three records restored", p)
	}
	with := w.opens(t, s, 0b1011, 4, 3, 5)
	if len(with) != 3 {
		t.Errorf("opened %d records with the repaired piece, want 3", len(with))
	}
	if erased, _, err := w.Keepers[4].Store.Erased(w.ana.ID, s.Name); err != nil || erased != 0b0100 {
		t.Errorf("erased at the newcomer: got %b, %v; want the third record", erased, err)
	}
	if kept, _, err := w.Keepers[4].Store.Records(w.ana.ID, s.Name, 0b0100); err != nil || len(kept) != 0 {
		t.Errorf("an erased record came back with the repair: %d, %v", len(kept), err)
	}
}

// awaitHandedOver waits until another keeper has x's leaf of an erased record.
func (w *world) awaitHandedOver(t *testing.T, x abaton.KeeperIndex, batch abaton.BatchName, j int) {
	t.Helper()
	for y, k := range w.Keepers {
		if y == x {
			continue
		}
		for end := time.Now().Add(30 * time.Second); ; {
			leaves, err := k.HandedOverBy(x, w.ana.ID, batch, 1<<j)
			if err == nil && len(leaves) == 1 {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("keeper %d has no leaf of keeper %d's erased share", y, x)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// liesInRepair has a keeper flip a bit of every sum: it answers with the sum of
// other parts than it was given.
func (w *world) liesInRepair(x abaton.KeeperIndex) {
	k := w.Keepers[x]
	k.Intercept(func(route string, body []byte) ([]byte, error) {
		var signed wire.Signed
		var q keeper.Repair
		if route != keeper.RouteRepair || wire.Unmarshal(body, &signed) != nil || wire.Unmarshal(signed.Body, &q) != nil || q.Kind != keeper.RepairSums {
			return nil, nil
		}
		n := 0
		for _, row := range q.Rows {
			for b := row.Bits; b != 0; b &= b - 1 {
				n++
			}
		}
		wrong := make([]byte, 32*n)
		rand.Read(wrong)
		asker := w.Set.Keeper(q.Keeper)
		box, err := key.ParseBoxPublic(asker.Box)
		if err != nil {
			return nil, err
		}
		sealed, err := box.SealTo(wire.RepairSum, custody.PartContext(w.Set.ID(), asker.Key, &q, x), wrong)
		if err != nil {
			return nil, err
		}
		return wire.Marshal(keeper.Repaired{V: wire.Version, Boxes: [][]byte{sealed}}), nil
	})
}

// TestRepairIsForItsOwnPlace: what a keeper asks for a place that is not its
// own, by a key that the set does not have there, or out of form, gets nothing.
func TestRepairIsForItsOwnPlace(t *testing.T) {
	w := newWorld(t, 1)
	s := w.seals(t, 1, 1)
	w.mustDeposit(t, s)
	w.AwaitCosigned(t, 4)
	evicted := w.Keepers[4].Identity
	w.Replace(t, 4)
	w.Keepers[4].AwaitMode(t)
	lock := spread.LockHash(s.Uploads[0].Lock.Body)
	good := func() *keeper.Repair {
		return &keeper.Repair{
			V: wire.Version, Kind: keeper.RepairParts, Keeper: 4, Patient: w.ana.ID, Time: uint64(time.Now().Unix()),
			Rows: []keeper.RepairRow{{Batch: s.Name, Lock: lock, Bits: 1}}, From: []abaton.KeeperIndex{1, 2, 3},
		}
	}
	own := w.Keepers[4].Identity.Key
	for name, c := range map[string]struct {
		by   *key.Signing
		edit func(q *keeper.Repair)
		want abaton.Reason
	}{
		"its own place":               {own, func(*keeper.Repair) {}, ""},
		"another's place":             {own, func(q *keeper.Repair) { q.Keeper = 5 }, abaton.ReasonSignature},
		"the place of the one asked":  {w.Keepers[1].Identity.Key, func(q *keeper.Repair) { q.Keeper = 1 }, abaton.ReasonMalformed},
		"the key that was evicted":    {evicted.Key, func(*keeper.Repair) {}, abaton.ReasonSignature},
		"a stranger":                  {key.NewSigning(), func(*keeper.Repair) {}, abaton.ReasonSignature},
		"no such place":               {own, func(q *keeper.Repair) { q.Keeper = 6 }, abaton.ReasonPeer},
		"yesterday":                   {own, func(q *keeper.Repair) { q.Time -= 86400 }, abaton.ReasonTime},
		"two of three":                {own, func(q *keeper.Repair) { q.From = q.From[:2] }, abaton.ReasonMalformed},
		"four":                        {own, func(q *keeper.Repair) { q.From = []abaton.KeeperIndex{1, 2, 3, 5} }, abaton.ReasonMalformed},
		"itself among them":           {own, func(q *keeper.Repair) { q.From = []abaton.KeeperIndex{1, 2, 4} }, abaton.ReasonMalformed},
		"one twice":                   {own, func(q *keeper.Repair) { q.From = []abaton.KeeperIndex{1, 1, 2} }, abaton.ReasonMalformed},
		"without the one asked":       {own, func(q *keeper.Repair) { q.From = []abaton.KeeperIndex{2, 3, 5} }, abaton.ReasonMalformed},
		"no records":                  {own, func(q *keeper.Repair) { q.Rows[0].Bits = 0 }, abaton.ReasonMalformed},
		"more records than there are": {own, func(q *keeper.Repair) { q.Rows[0].Bits = 0b110 }, abaton.ReasonErased},
		"another lock":                {own, func(q *keeper.Repair) { q.Rows[0].Lock[0] ^= 1 }, abaton.ReasonNotFound},
		"another patient":             {own, func(q *keeper.Repair) { q.Patient = w.doctor.ID }, abaton.ReasonNotFound},
		"no such step":                {own, func(q *keeper.Repair) { q.Kind = 6 }, abaton.ReasonMalformed},
		"one batch twice":             {own, func(q *keeper.Repair) { q.Rows = append(q.Rows, q.Rows[0]) }, abaton.ReasonMalformed},
	} {
		q := good()
		c.edit(q)
		size := w.Keepers[1].LedgerSize()
		_, err := w.Keepers[1].Call(t.Context(), keeper.RouteRepair, wire.Marshal(c.by.Seal(wire.Peer, wire.Marshal(q))))
		if reasonOf(err) != c.want {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
		if entered := w.Keepers[1].LedgerSize() - size; (entered == 0) != (c.want != "") {
			t.Errorf("%s: got %d entries, want one for what is handed out and none else", name, entered)
		}
	}
}

// TestRepairPartsDoNotMix: parts that were cut for one repair are worth nothing
// in another, nor for another receiver.
func TestRepairPartsDoNotMix(t *testing.T) {
	w := newWorld(t, 1)
	s := w.seals(t, 1, 1)
	w.mustDeposit(t, s)
	own := w.Keepers[4].Identity.Key
	ask := func(x abaton.KeeperIndex, q *keeper.Repair) (*keeper.Repaired, error) {
		answer, err := w.Keepers[x].Call(t.Context(), keeper.RouteRepair, wire.Marshal(own.Seal(wire.Peer, wire.Marshal(q))))
		if err != nil {
			return nil, err
		}
		a := new(keeper.Repaired)
		return a, wire.Unmarshal(answer, a)
	}
	cut := func(run byte, from ...abaton.KeeperIndex) (*keeper.Repair, [][]byte) {
		q := &keeper.Repair{
			V: wire.Version, Kind: keeper.RepairParts, Keeper: 4, Patient: w.ana.ID, Time: uint64(time.Now().Unix()), Run: [16]byte{run},
			Rows: []keeper.RepairRow{{Batch: s.Name, Lock: spread.LockHash(s.Uploads[0].Lock.Body), Bits: 1}}, From: from,
		}
		var toFirst [][]byte
		for _, x := range from {
			a, err := ask(x, q)
			if err != nil {
				t.Fatal(err)
			}
			toFirst = append(toFirst, a.Boxes[0])
		}
		q.Kind = keeper.RepairSums
		return q, toFirst
	}
	one, parts := cut(1, 1, 2, 3)
	one.Parts = parts
	if _, err := ask(1, one); err != nil {
		t.Fatalf("the parts of one repair: %v", err)
	}
	two, others := cut(2, 1, 2, 5)
	_, again := cut(3, 1, 2, 3)
	for name, mixed := range map[string][][]byte{
		"of another repair":        {others[0], others[1], parts[2]},
		"of the same, once more":   {parts[0], again[1], parts[2]},
		"in another order":         {parts[1], parts[0], parts[2]},
		"one of them twice":        {parts[0], parts[0], parts[2]},
		"all of another repair":    others,
		"one of them too few":      parts[:2],
		"one of them cut off":      {parts[0], parts[1], parts[2][:len(parts[2])-1]},
		"one of them not a box":    {parts[0], parts[1], {1}},
		"for another receiver":     nil,
		"the same, in the other":   slices.Clone(parts),
		"of the other, other list": {others[0], others[1], others[2]},
	} {
		q, x := *one, abaton.KeeperIndex(1)
		q.Parts = mixed
		switch name {
		case "for another receiver":
			q.Parts, x = parts, 2
		case "the same, in the other":
			q = *two
			q.Parts = parts
		}
		if _, err := ask(x, &q); reasonOf(err) != abaton.ReasonMalformed {
			t.Errorf("parts %s: got %v, want %q", name, err, abaton.ReasonMalformed)
		}
	}
}
