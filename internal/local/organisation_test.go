package local_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/people"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
)

// house is a running network with a second organisation, an agency.
type house struct {
	t           *testing.T
	p           *local.Processes
	org, agency *people.Person
	net         *client.Network
	dialled     map[abaton.KeeperIndex]*keeper.Client
}

func newHouse(t *testing.T) *house {
	t.Helper()
	n, err := local.Make(t.Context(), filepath.Join(t.TempDir(), "net"), local.Options{Binaries: built})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, dialled: make(map[abaton.KeeperIndex]*keeper.Client)}
	gateway := people.Gateway{Writer: key.NewSigning().ID(), Box: key.NewBox().Public()}
	if h.agency, err = n.People().NewOrganisation("agency", "Agency", gateway); err != nil {
		t.Fatal(err)
	}
	if err := n.Admit(h.agency.ID); err != nil {
		t.Fatal(err)
	}
	if h.p, err = n.Start(t.Context(), built); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.p.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	if h.org, err = n.Organisation(); err != nil {
		t.Fatal(err)
	}
	var hangUp func()
	if h.net, hangUp, err = n.Client(h.org.Manage); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hangUp)
	for i := range n.Set().Keepers {
		k := &n.Set().Keepers[i]
		if h.dialled[k.X], err = keeper.Dial(k.URL, k.SPKI); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(h.dialled[k.X].Close)
	}
	h.must(people.Introduce(t.Context(), h.net, h.agency))
	return h
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// signIn begins a session at each keeper itself and says what each answered.
func (h *house) signIn(p *people.Person) map[abaton.KeeperIndex]abaton.Reason {
	h.t.Helper()
	l, err := h.p.People().Direct(h.t.Context(), p, h.net)
	h.must(err)
	said := make(map[abaton.KeeperIndex]abaton.Reason)
	for x, k := range h.dialled {
		_, err := k.Call(h.t.Context(), keeper.RouteSession, l.Signed)
		if e, ok := errors.AsType[*abaton.RefusedError](err); ok {
			said[x] = e.Reason
		} else if err != nil {
			h.t.Fatalf("keeper %d: %v", x, err)
		}
	}
	return said
}

// everywhere waits until all five keepers answer alike, and says how long that
// took.
func (h *house) everywhere(p *people.Person, want abaton.Reason) time.Duration {
	h.t.Helper()
	began := time.Now()
	for h.t.Context().Err() == nil {
		all := true
		said := h.signIn(p)
		for x := range h.dialled {
			all = all && said[x] == want
		}
		if all {
			return time.Since(began)
		}
		if time.Since(began) > time.Minute {
			h.t.Fatalf("after a minute: got %v, want %q at all", said, want)
		}
	}
	return 0
}

// TestLostAndGone (H33, H34): on five real processes, a device reported lost
// and somebody who leaves are refused by every one of them.
func TestLostAndGone(t *testing.T) {
	h := newHouse(t)
	anna, err := h.p.People().NewClinician("anna", "Anna", h.org, abaton.RoleNurse)
	h.must(err)
	h.must(h.p.Enlist(t.Context(), h.net, anna))
	h.everywhere(anna, "")
	began := time.Now()
	_, err = h.org.Bar(t.Context(), h.net, anna.Device, 0, h.org.Alarm)
	h.must(err)
	h.everywhere(anna, abaton.ReasonDevice)
	t.Logf("lost device: refused by all five %v after the report", time.Since(began).Round(time.Millisecond))
	d, err := h.p.People().NewDevice("anna-new", "Anna's new one", h.org)
	h.must(err)
	h.must(people.Introduce(t.Context(), h.net, d))
	anna.Device = d.ID
	h.everywhere(anna, "")
	began = time.Now()
	_, err = h.org.Bar(t.Context(), h.net, anna.ID, 0, h.org.Manage)
	h.must(err)
	h.everywhere(anna, abaton.ReasonStanding)
	t.Logf("left: refused by all five %v after the event", time.Since(began).Round(time.Millisecond))
}

// TestLocumOfAnAgency (H8): lent by an agency, taken on by the clinic, at a
// device of the clinic; either of the two ends it.
func TestLocumOfAnAgency(t *testing.T) {
	h := newHouse(t)
	lea, err := h.p.People().NewClinician("lea", "Lea", h.agency, abaton.RoleLocum)
	h.must(err)
	h.must(h.p.People().Enlist(t.Context(), h.net, h.agency, nil, lea))
	d, err := h.p.People().NewDevice("ward-3", "Ward 3", h.org)
	h.must(err)
	h.must(people.Introduce(t.Context(), h.net, d))
	lea.Device = d.ID
	h.everywhere(lea, abaton.ReasonStanding) // the clinic has not taken her on
	now := time.Now().Unix()
	m := &actor.Member{Actor: lea.ID, Roles: lea.Roles, NotBefore: now - 60, Expires: now + 3600, Sponsor: h.agency.ID}
	if _, err := people.TakeOn(t.Context(), h.net, h.org.HandOf(1), m); err == nil {
		t.Fatal("one manager took a locum on")
	}
	_, err = people.TakeOn(t.Context(), h.net, h.org.Hand(), m)
	h.must(err)
	h.everywhere(lea, "")
	_, err = h.agency.Bar(t.Context(), h.net, lea.ID, now+3600, h.agency.Manage)
	h.must(err)
	h.everywhere(lea, abaton.ReasonStanding)
}
