package people

import (
	"bytes"
	"testing"

	"github.com/abaton-health/abaton/actor"
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
