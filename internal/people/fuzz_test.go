package people

import (
	"bytes"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// FuzzPerson: what is read as a person's file is that person's one file.
func FuzzPerson(f *testing.F) {
	set, _ := custodytest.NewSet(f, 5)
	w, err := Open(f.TempDir(), set)
	if err != nil {
		f.Fatal(err)
	}
	p, root, err := w.newPerson("ana", "Ana", actor.Patient)
	if err != nil {
		f.Fatal(err)
	}
	good := p.marshal(root)
	f.Add(good)
	f.Add(good[:len(good)-1])
	p.Box = nil
	f.Add(p.marshal(root))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := w.parse("ana", data)
		if err != nil {
			return
		}
		var f form
		if err := wire.Unmarshal(data, &f); err != nil {
			t.Fatal(err)
		}
		if got := p.marshal(key.Secret(f.Root)); !bytes.Equal(got, data) {
			t.Error("a person's file has two forms")
		}
	})
}

// FuzzOwn: what is read of a record's own file, or a kept patient's, is in its
// one form.
func FuzzOwn(f *testing.F) {
	f.Add(wire.Marshal(ownForm{V: 1, Set: []byte("event")}))
	f.Add(wire.Marshal(ownForm{V: 1, Old: grant.MarshalSeeds([]grant.Seed{{Line: abaton.Line{1}, Level: 1, Epoch: 1}})}))
	f.Add(wire.Marshal(keptForm{V: 1, Event: []byte("event"), Way: []byte("way")}))
	f.Fuzz(func(t *testing.T, data []byte) {
		p := &Person{Handle: "ana"}
		if p.parseOwn(data) == nil {
			g := ownForm{V: 1, Set: p.Set}
			if len(p.Old) > 0 {
				g.Old = grant.MarshalSeeds(p.Old)
			}
			var f ownForm
			if err := wire.Unmarshal(data, &f); err != nil || len(f.Old) > 1 && !bytes.Equal(wire.Marshal(g), data) {
				t.Error("the file has two forms")
			}
		}
		if p.parseKept(data) == nil && !bytes.Equal(wire.Marshal(keptForm{V: 1, Event: p.Event, Way: p.Way, Set: p.Set}), data) {
			t.Error("the kept file has two forms")
		}
	})
}
