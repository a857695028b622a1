package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/people"
	"github.com/abaton-health/abaton/keeper"
)

// TestEnrolledElsewhere: whoever enrolled in a browser, and the computer there,
// are known here by name alone. The clinic takes them on, gives them roles and a
// team, and ends them by that name: a device that is lost is dead.
func TestEnrolledElsewhere(t *testing.T) {
	if testing.Short() {
		t.Skip("runs real processes")
	}
	n, err := local.Make(t.Context(), filepath.Join(t.TempDir(), "net"), local.Options{Binaries: built})
	if err != nil {
		t.Fatal(err)
	}
	w := &town{t: t}
	if w.run, err = n.Start(t.Context(), built); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.run.Stop(); err != nil {
			t.Error(err)
		}
	})
	org, err := n.Organisation()
	if err != nil {
		t.Fatal(err)
	}
	// A folder of their own stands for the browser; it knows the clinic, whose
	// word about the computer it gets.
	away := t.TempDir()
	if err := os.CopyFS(filepath.Join(away, org.Handle), os.DirFS(n.People().Dir(org.Handle))); err != nil {
		t.Fatal(err)
	}
	browser, err := people.Open(away, n.Set())
	if err != nil {
		t.Fatal(err)
	}
	carla, err := browser.NewClinician("carla", "Carla", org)
	if err != nil {
		t.Fatal(err)
	}
	seat, err := browser.Find(carla.Device.String())
	if err != nil {
		t.Fatal(err)
	}
	ana, err := n.People().NewPatient("ana", "Ana", nil, org)
	if err != nil {
		t.Fatal(err)
	}
	registry, err := n.People().Find("registry")
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := browser.NewDevice("theirs", "Theirs", registry)
	if err != nil {
		t.Fatal(err)
	}
	c, closeAll, err := n.Client(org.Manage)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(closeAll)
	if err := people.Introduce(t.Context(), c, carla, seat, ana, theirs); err != nil {
		t.Fatal(err)
	}
	dialled := make(map[abaton.KeeperIndex]*keeper.Client)
	for i := range n.Set().Keepers {
		k := &n.Set().Keepers[i]
		if dialled[k.X], err = keeper.Dial(k.URL, k.SPKI); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(dialled[k.X].Close)
	}
	everywhere := func(who *people.Person, want abaton.Reason) { // within a minute
		t.Helper()
		l, err := browser.Direct(t.Context(), who, c)
		if err != nil {
			t.Fatal(err)
		}
		for x, k := range dialled {
			for began := time.Now(); ; {
				got := abaton.Reason("")
				_, err := k.Call(t.Context(), keeper.RouteSession, l.Signed)
				if r, ok := errors.AsType[*abaton.RefusedError](err); ok {
					got = r.Reason
				} else if err != nil {
					t.Fatalf("keeper %d: %v", x, err)
				}
				if got == want {
					break
				}
				if time.Since(began) > time.Minute {
					t.Fatalf("keeper %d: got %q, want %q", x, got, want)
				}
			}
		}
	}
	who, at := carla.ID.String(), seat.ID.String()

	w.fails("no such person", "", "staff", "leave", abaton.ActorID{1}.String())
	w.fails("nobody who works here", "", "staff", "leave", at)
	w.fails("nobody who works here", "", "staff", "suspend", ana.ID.String())
	w.fails("name the device", "", "device", "lost", who)
	w.fails("name the device", "", "device", "lost", "ana")
	w.fails("no device of this clinic", "", "device", "lost", theirs.ID.String())
	w.fails("no clinician", "", "team", "set", "ward", "--members", at)
	w.fails("is a device", "", "grant", "give", "--as", "ana", "--to", at, "--read", "general", "--for", "1h")
	everywhere(carla, abaton.ReasonStanding)
	w.must("", "staff", "add", who, "--roles", "nurse")
	w.must("", "staff", "roles", who, "physician")
	everywhere(carla, "")
	w.must("", "team", "set", "ward", "--members", who)
	w.must("", "grant", "give", "--as", "ana", "--to", who, "--read", "general", "--for", "1h")
	own, hangUp, err := n.Client(carla.Manage)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hangUp)
	if b, err := carla.Held(t.Context(), own); err != nil || len(b) != 1 {
		t.Errorf("given by name: carla holds %d grants, %v; want 1", len(b), err)
	}
	w.must("", "grant", "bar", who, "--as", "ana")

	mia, err := browser.NewClinician("mia", "Mia", org)
	if err != nil {
		t.Fatal(err)
	}
	mia.Device = carla.Device // the same computer
	if err := people.Introduce(t.Context(), c, mia); err != nil {
		t.Fatal(err)
	}
	w.must("", "staff", "add", mia.ID.String(), "--roles", "physician")
	everywhere(mia, "")
	w.must("", "staff", "leave", mia.ID.String())
	everywhere(mia, abaton.ReasonStanding)
	everywhere(carla, "")
	w.must("", "device", "held", at)
	w.must("", "device", "lost", at)
	everywhere(carla, abaton.ReasonDevice)
	w.must("", "staff", "suspend", who, "--for", "1h")
	if out := w.must("", "staff", "list"); !strings.Contains(out, "left") || !strings.Contains(out, "suspended") {
		t.Errorf("staff list: got\n%s\nwant one who left and one suspended", out)
	}
}
