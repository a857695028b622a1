package people

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/careteam"
	"github.com/abaton-health/abaton/internal/durable"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
)

// ErrNotGuardian says that somebody guards no part of a duty chart.
var ErrNotGuardian = errors.New("in no team that guards this duty copy")

// DutyChart is one line of a clinic's own list of its duty copies.
type DutyChart struct {
	Patient abaton.ActorID `json:"patient"`
	Chart   abaton.ActorID `json:"chart"`
	Until   int64          `json:"until"` // unix seconds: takes copies until then, and is kept on
}

// dutyFile is the clinic's list, mode 0600.
const dutyFile = "duty-copies.json"

// DutyCharts are a clinic's duty copies, in the order they were begun.
func (w *World) DutyCharts(org *Person) (all []DutyChart, err error) {
	data, err := os.ReadFile(filepath.Join(w.Dir(org.Handle), dutyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read duty copies: %w", err)
	}
	if json.Unmarshal(data, &all) != nil {
		return nil, fmt.Errorf("read duty copies: %w", errDamaged)
	}
	return all, nil
}

// Guarding is one of an organisation's teams as a guardian, with its key as it
// is now.
func Guarding(ctx context.Context, n *client.Network, team Team) (g careteam.Guardian, err error) {
	n.Refresh(team.Organisation)
	log, err := n.Log(ctx, team.Organisation)
	if err != nil {
		return g, fmt.Errorf("look for guardians: %w", err)
	}
	t := log.Team(team.ID)
	if t == nil || len(t.Seats) == 0 {
		return g, ErrNoTeam
	}
	g.Organisation, g.Team.ID = team.Organisation, team.ID
	g.Team.Box, err = key.ParseBoxPublic(t.Public)
	return g, err
}

// BeginDuty makes a duty chart about a patient: a chart that the clinic's gateway
// may only add to, and whose root two guardians have one part each of. Every
// other key of it is dropped here.
func (w *World) BeginDuty(ctx context.Context, n *client.Network, org *Person, about abaton.ActorID, a, b careteam.Guardian) (*DutyChart, error) {
	root := key.NewSecret()
	p := &Person{Kind: actor.Patient, Sponsor: org.ID, Manage: careteam.Key(root), Public: key.NewBox().Public(), Root: key.NewRoot(root)}
	deposit, err := p.granted(Terms{To: org, Actions: grant.Deposit, Categories: []fhir.Category{fhir.General},
		Purpose: abaton.Operations, Life: depositLife, Quota: RecordsMax})
	if err != nil {
		return nil, err
	}
	in := &actor.Inception{Kind: actor.Patient, Set: w.set.ID(), Organisation: org.ID, Invitation: org.Invite(invitationLife, actor.Patient),
		Keys: []actor.Key{{ID: p.Manage.ID(), Rights: actor.Manage}}, Box: p.Public.Bytes(), Nonce: [grant.NonceBytes]byte(nonce()),
		Lines: []actor.Epoch{epoch(p.Root, fhir.General.ID(), fhir.General.Level())}, Grants: []actor.Granted{*deposit}}
	now := time.Now()
	last := actor.NewInception(now.Unix(), in)
	chart := actor.IDOf(last)
	parts, err := careteam.KeepDuty(w.set, chart, about, root, a, b)
	if err != nil {
		return nil, err
	}
	events := [][]byte{actor.Signed(last, actor.ByKey(p.Manage, last)).Marshal()}
	for i, part := range parts {
		last = actor.New(chart, uint64(i+1), []actor.Hash{actor.HashOf(last)}, now.Unix(), part)
		events = append(events, actor.Signed(last, actor.ByKey(p.Manage, last)).Marshal())
	}
	for _, event := range events {
		if err := introduce(ctx, n, [][]byte{event}); err != nil {
			return nil, err
		}
	}
	d := &DutyChart{Patient: about, Chart: chart, Until: now.Add(depositLife).Unix()}
	return d, w.listDuty(org, *d)
}

func (w *World) listDuty(org *Person, d DutyChart) error {
	all, err := w.DutyCharts(org)
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(append(all, d), "", "  ")
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(w.Dir(org.Handle), dutyFile), data, 0o600)
}

// DutyPart is one guardian's part, opened by one of its people: three keepers
// ledgered that, and tell the patient.
type DutyPart struct {
	Custody abaton.GrantID
	Part    key.Secret
}

// OpenDutyPart opens the part that a member's team guards.
func (w *World) OpenDutyPart(ctx context.Context, n *client.Network, member *Person, chart abaton.ActorID) (*DutyPart, error) {
	n.Refresh(chart)
	st, err := n.Log(ctx, chart)
	if err != nil {
		return nil, fmt.Errorf("read key log: %w", err)
	}
	if st == nil {
		return nil, fmt.Errorf("duty copy: %w", abaton.ErrNotFound)
	}
	teams, err := member.boxes(ctx, n)
	if err != nil {
		return nil, err
	}
	id, own := guarded(st, teams)
	if len(own) == 0 {
		return nil, ErrNotGuardian
	}
	reader, err := w.ownReader(ctx, n, member)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	p, err := careteam.Open(ctx, n, reader, client.Ask{Patient: chart, Grant: id, Purpose: abaton.Legal}, own...)
	return &DutyPart{Custody: id, Part: p.Root}, err
}

// guarded is the custody of a duty chart that one of these boxes opens.
func guarded(st *actor.State, teams boxes) (id abaton.GrantID, own []*key.Box) {
	for i, e := range st.Escrows() {
		if e.Told() == (abaton.ActorID{}) || len(own) > 0 && bytes.Compare(i[:], id[:]) > 0 {
			continue
		}
		for _, wrap := range e.Wraps {
			if len(teams[wrap.Holder]) > 0 {
				id, own = i, teams[wrap.Holder]
			}
		}
	}
	return id, own
}

// DutyCopy is an opened duty chart.
type DutyCopy struct {
	*client.Chart
	Root key.Secret
}

// Hand signs for the duty chart: it can erase, and nothing more is to be done
// with it.
func (d *DutyCopy) Hand(chart abaton.ActorID) client.Hand {
	return client.KeyHand(chart, careteam.Key(d.Root))
}

// OpenDuty opens a duty chart for one guardian's person with the other's part:
// every record is released by three keepers, ledgered, and told to the patient.
func (w *World) OpenDuty(ctx context.Context, n *client.Network, member *Person, chart abaton.ActorID, other key.Secret) (*DutyCopy, error) {
	part, err := w.OpenDutyPart(ctx, n, member, chart)
	if err != nil {
		return nil, err
	}
	st, err := n.Log(ctx, chart)
	if err != nil {
		return nil, fmt.Errorf("read key log: %w", err)
	}
	out := &DutyCopy{Root: careteam.JoinDuty(part.Part, other)}
	if part.Part == other || st.KeyRights(careteam.Key(out.Root).ID())&actor.Manage == 0 {
		return nil, careteam.ErrDutyPart
	}
	seeds := seedsOf(st, key.NewRoot(out.Root))
	login, err := w.Direct(ctx, member, n, session.Bundle{Patient: chart, Grant: part.Custody, Seeds: seeds})
	if err != nil {
		return nil, err
	}
	reader, err := n.NewReader(login)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	ask := client.Ask{Patient: chart, Grant: part.Custody, Purpose: abaton.Legal}
	for _, s := range seeds {
		ask.Lines = []abaton.Line{s.Line}
	}
	if out.Chart, err = reader.Chart(ctx, ask); err != nil {
		return nil, fmt.Errorf("open duty copy: %w", err)
	}
	return out, nil
}
