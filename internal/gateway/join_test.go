package gateway

import (
	"bytes"
	"encoding/binary"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/key"
)

// windowBytes is what two stores must have in common to be joined on it.
const windowBytes = 8

// frameHeader is the length of a frame's header in the outbox, in bytes.
const frameHeader = 21

type window [windowBytes]byte

// stored are all windows of what an organisation's gateway keeps on its disk,
// names of files too, without the headers of the outbox's frames: they count
// writes, and two gateways that wrote as often count alike.
func (w *world) stored() map[window]bool {
	w.t.Helper()
	all := make(map[window]bool)
	magic := binary.BigEndian.AppendUint32(nil, 0xab0740b1)
	take := func(b []byte) {
		from := 0
		for i := 0; i+windowBytes <= len(b); i++ {
			if bytes.HasPrefix(b[min(i+windowBytes-1, len(b)):], magic) { // the window would reach into a header
				from = i + windowBytes - 1 + frameHeader
			}
			if i >= from {
				all[window(b[i:])] = true
			}
		}
	}
	for _, dir := range []string{w.config.Outbox, w.config.Wraps, w.config.Uploads} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || path == dir {
				return err
			}
			take([]byte(d.Name()))
			if !d.Type().IsRegular() {
				return nil
			}
			b, err := os.ReadFile(path)
			take(b)
			return err
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	return all
}

// joined is what two stores have in common.
func joined(a, b map[window]bool) map[window]bool {
	both := make(map[window]bool)
	for w := range a {
		if b[w] {
			both[w] = true
		}
	}
	return both
}

// admits lets another organisation deposit for a patient.
func (w *world) admits(patient *device) {
	w.t.Helper()
	g, seeds := patient.grant(w.org.id, grant.Deposit, allCategories()...)
	for i := range seeds {
		seeds[i].Seed = key.Secret{}
	}
	if _, p, err := w.net.Share(w.t.Context(), client.KeyHand(patient.id, patient.signing), g, seeds); err != nil || !p.InForce {
		w.t.Fatalf("admit: in force %v, %v", p.InForce, err)
	}
}

// TestStoresDoNotJoin (R09): what the gateways of two organisations keep of one
// patient, of whom both write down the same, has nothing in common that what
// they keep of two different patients has not.
func TestStoresDoNotJoin(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	worlds := newWorlds(t, 2)
	both, other := worlds[0].patient(), worlds[1].patient()
	alone := worlds[0].patient()
	worlds[1].admits(both)
	var callers []*caller
	for _, w := range worlds {
		doctor, directory := w.clinician()
		one := []*device{both, alone}
		if w == worlds[1] {
			one = []*device{both, other}
		}
		callers = append(callers, w.signIn(doctor, directory, w.share(one[0], doctor, grant.Read, allCategories()...), w.share(one[1], doctor, grant.Read, allCategories()...)))
	}
	writes := func(i int, patient *device, id string) {
		t.Helper()
		c := callers[i].with(headerPatient, patient.id.String())
		c.want(http.StatusAccepted, "PUT", "/Patient/"+id, `{"resourceType":"Patient","id":"`+id+`","identifier":[{"system":"urn:x","value":"184627359"}],"name":[{"text":"the same at both"}]}`, nil)
	}
	for x := abaton.KeeperIndex(4); x <= 5; x++ { // what is written waits on the gateways' disks
		worlds[0].keepers.Keepers[x].Down(true)
	}
	writes(0, alone, "p1")
	writes(1, other, "p2")
	control := joined(worlds[0].stored(), worlds[1].stored())
	writes(0, both, "p3")
	writes(1, both, "p3")
	a, b := worlds[0].stored(), worlds[1].stored()
	if len(a) < 5_000 || len(b) < 5_000 {
		t.Fatalf("stored: got %d and %d windows, want the writes there", len(a), len(b))
	}
	more := 0
	for w := range joined(a, b) {
		if !control[w] {
			more++
		}
	}
	if more > 0 {
		t.Errorf("two stores about one patient have %d windows of %d bytes in common that stores about different patients have not", more, windowBytes)
	}
	t.Logf("%d and %d windows, %d in common about different patients, %d more about the same", len(a), len(b), len(control), more)

	// The ids that leave are each organisation's own.
	one, two := worlds[0].gateway.ids, worlds[1].gateway.ids
	idOne, sourceOne := one.imported(both.id, "urn:uuid:1", []byte("{}"))
	idTwo, sourceTwo := two.imported(both.id, "urn:uuid:1", []byte("{}"))
	if one.tag(both.id) == two.tag(both.id) || idOne == idTwo || string(sourceOne) == string(sourceTwo) {
		t.Error("two organisations give one patient the same id")
	}
}
