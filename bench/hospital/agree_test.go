package main

import (
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/internal/detect"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/seal"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// chart is a patient of the real network, who gave a team to read, or the
// clinician by name.
type chart struct {
	patient *custodytest.Person
	grant   *grant.Grant
	sealed  *seal.Sealed
	named   bool
}

// realHouse is five real keepers and a clinician of one organisation.
type realHouse struct {
	*custodytest.Network
	org, clinician *custodytest.Person
	charts         []chart
}

func newRealHouse(t *testing.T, patients int) *realHouse {
	t.Helper()
	set, ids := custodytest.NewSet(t, keepersN)
	h := &realHouse{org: custodytest.NewOrganisation(t, set)}
	h.clinician = custodytest.NewClinician(t, set, h.org)
	h.Network = custodytest.Start(t, set, ids, h.org.ID)
	h.Publish(t, h.org.Inception, h.clinician.Inception)
	h.Enrol(t, h.clinician)
	team := h.org.Team(1, h.clinician.ID)
	h.Publish(t, h.org.Event(team))
	for i := range patients {
		c := chart{patient: custodytest.NewPatient(t, set, h.org, 1), named: i%4 == 3}
		to := team.Team
		if c.named {
			to = h.clinician.ID
		}
		c.grant = c.patient.Grant(to, grant.Read, 1000)
		h.Publish(t, c.patient.Inception)
		h.Publish(t, c.patient.Event(&actor.Granted{Grant: c.grant.Marshal()}))
		c.sealed = h.seals(t, c.patient, uint64(i+1))
		h.charts = append(h.charts, c)
	}
	return h
}

// seals puts one record of a patient at every keeper.
func (h *realHouse) seals(t *testing.T, p *custodytest.Person, seq uint64) *seal.Sealed {
	t.Helper()
	line := p.Root.Line(custodytest.General)
	s, err := seal.Seal(seal.Batch{
		Patient: p.ID, Line: line, Segment: p.Root.Segment(custodytest.General, 1).Public(), Set: h.Set.ID(),
		Shape: spread.FiveKeepers(), Writer: h.org.Writer, Seq: seq, Hour: uint32(time.Now().Unix() / 3600),
		Author: seal.Author{Actor: h.org.ID, Key: h.org.Writer},
		Records: []seal.Record{{
			Envelope: seal.Envelope{Patient: p.ID, Line: line, Kind: seal.KindResource, Type: "Basic", ID: "a", VersionID: "1", LastUpdated: 1},
			Content:  []byte(`{"resourceType":"Basic"}`),
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, u := range s.Uploads {
		x := abaton.KeeperIndex(i + 1)
		box, err := h.Set.BoxOf(x)
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := spread.SealUpload(u, h.Set.ID(), box)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := h.Keepers[x].Call(t.Context(), keeper.RouteDeposit, wire.Marshal(keeper.Deposits{V: 1, Uploads: [][]byte{sealed}}))
		var r keeper.Results
		if err != nil || wire.Unmarshal(answer, &r) != nil || r.Results[0].Reason != "" {
			t.Fatalf("keeper %d: deposit refused", x)
		}
	}
	return s
}

// statement is what the clinician signed.
func (h *realHouse) statement(t *testing.T, in *custodytest.Session) *session.Statement {
	t.Helper()
	signed, err := session.ParseSigned(in.Signed)
	var s session.Statement
	if err != nil || wire.Unmarshal(signed.Statement, &s) != nil {
		t.Fatal("the session's own statement does not parse")
	}
	return &s
}

// TestRealKeepersAgree plays the same acts to five real keepers, through their
// whole request path, and to the simulation, and holds each keeper's answer
// against its double's. Verdicts do not travel in either: what each keeper
// makes of its own share of the acts must be the same.
func TestRealKeepersAgree(t *testing.T) {
	if testing.Short() {
		t.Skip("five real keepers")
	}
	h := newRealHouse(t, 28)
	for _, k := range h.Keepers {
		k.Intercept(func(route string, _ []byte) ([]byte, error) {
			if route == keeper.RouteVerdict {
				return nil, abaton.Refuse(abaton.ReasonPeer)
			}
			return nil, nil
		})
	}
	n := newNetwork(build(60, 4_000, 1, 1), detect.Default(), 1<<60)
	in := h.SignIn(t, h.clinician)
	statement := h.statement(t, in)
	opened, refused := 0, 0
	for i := range h.charts {
		c := &h.charts[i]
		released := 0
		for _, k := range n.rotate() {
			at := time.Now().UnixMilli()
			a := detect.Act{Time: at / second, Actor: h.clinician.ID, Organisation: h.org.ID, Device: statement.Device, Patient: c.patient.ID,
				Session: in.ID, Role: statement.Role, Opens: true, Related: c.named}
			want := n.members[k].decide(n, &a, at)
			reply, err := h.Ask(t.Context(), in, abaton.KeeperIndex(k+1), session.Request{Patient: c.patient.ID, Grant: c.grant.ID(),
				Mode: session.Release, Purpose: abaton.Treatment, Rows: []session.Row{{Batch: c.sealed.Name, Bits: 1}}})
			if err != nil {
				t.Fatal(err)
			}
			if got := reply.Reason == ""; got != want.releases {
				t.Errorf("act %d at keeper %d: got reason %q, want released %v (%v)", i, k+1, reply.Reason, want.releases, want.finding)
			}
			if reply.Reason != "" {
				refused++
			} else if released++; released == threshold {
				opened++
				break
			}
		}
	}
	if opened == 0 || refused == 0 || opened == len(h.charts) {
		t.Errorf("acts: got %d opened and %d refusals, want some of both", opened, refused)
	}
}
