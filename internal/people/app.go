package people

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/internal/smart"
	"github.com/abaton-health/abaton/session"
)

// AppSource names an agent that stands for an app: a patient's, or, with a
// zero patient, a service of the organisation.
func AppSource(app string, patient abaton.ActorID) []byte {
	return []byte("app " + app + " " + patient.String())
}

// AppOf tells which app and whose an agent is; false for anybody else.
func (p *Person) AppOf() (app string, patient abaton.ActorID, ok bool) {
	parts := strings.Split(string(p.Source), " ")
	if p.Kind != actor.Agent || len(parts) != 3 || parts[0] != "app" {
		return "", patient, false
	}
	patient, err := abaton.ParseActorID(parts[2])
	return parts[1], patient, err == nil
}

// Agent is the actor that stands for an app with this patient (zero: for a
// service of the organisation), made the first time and kept.
func (w *World) Agent(app, name string, patient abaton.ActorID, org *Person) (*Person, error) {
	source := AppSource(app, patient)
	handle := agentHandle(app, source)
	p, err := w.Load(handle)
	if errors.Is(err, ErrNobody) {
		role := abaton.RoleApp
		if patient == (abaton.ActorID{}) {
			role = abaton.RoleBatch
		}
		return w.NewAgent(handle, name, source, org, role)
	}
	if err == nil && string(p.Source) != string(source) {
		return nil, fmt.Errorf("agent of app %q: %w", app, errDamaged)
	}
	return p, err
}

// agentHandle is a name for people that two apps, or two patients, do not
// share.
func agentHandle(app string, source []byte) string {
	const most = 40
	plain := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(app))
	sum := sha256.Sum256(source)
	return "app-" + plain[:min(len(plain), most)] + "-" + hex.EncodeToString(sum[:4])
}

// AppAsked is what waits at a gateway under an approval code.
func AppAsked(ctx context.Context, url, code string) (*login.AppAsk, error) {
	var out login.AppAsk
	s := &Session{URL: url}
	if err := s.post(ctx, "/apps/request", login.AppRequest{Code: code}, &out); err != nil {
		return nil, fmt.Errorf("ask what waits: %w", err)
	}
	return &out, nil
}

// DeclineApp says no.
func DeclineApp(ctx context.Context, url, code string) error {
	s := &Session{URL: url}
	if err := s.post(ctx, "/apps/decline", login.AppRequest{Code: code}, nil); err != nil {
		return fmt.Errorf("decline app: %w", err)
	}
	return nil
}

// AppYes is what a person allows an app.
type AppYes struct {
	Code      string
	Scope     string
	Patient   abaton.ActorID // in context; zero without one
	PatientID string         // that patient's FHIR id
	Bundles   []session.Bundle
}

// ErrTooMany says that more grants would have to be lent than fit one session.
var ErrTooMany = errors.New("too many grants for one app; name one patient")

// ApproveApp signs p in for one app and lends the gateway what p allows it.
func (w *World) ApproveApp(ctx context.Context, p *Person, url string, asked *login.AppAsk, yes AppYes) (*login.AppGiven, error) {
	if len(yes.Bundles) > session.BundlesMax {
		return nil, ErrTooMany
	}
	device, err := w.device(p)
	if err != nil {
		return nil, fmt.Errorf("approve app: %w", err)
	}
	done, err := login.Answer(asked.Offer, device, yes.Bundles, time.Now())
	if err != nil {
		return nil, fmt.Errorf("approve app: %w", err)
	}
	in := login.AppApproval{Code: yes.Code, Scope: yes.Scope, PatientID: yes.PatientID, Completion: *done}
	if yes.Patient != (abaton.ActorID{}) {
		in.Patient = yes.Patient.String()
	}
	var given login.AppGiven
	s := &Session{URL: url}
	if err := s.post(ctx, "/apps/approve", in, &given); err != nil {
		return nil, fmt.Errorf("approve app: %w", err)
	}
	return &given, nil
}

// LendService lends a backend service a session of its agent.
func (w *World) LendService(ctx context.Context, p *Person, url, app, scope string, bundles []session.Bundle) (*login.AppGiven, error) {
	if len(bundles) > session.BundlesMax {
		return nil, ErrTooMany
	}
	s := &Session{URL: url}
	var offer login.Offer
	if err := s.post(ctx, "/login/offer", struct{}{}, &offer); err != nil {
		return nil, fmt.Errorf("lend session: %w", err)
	}
	device, err := w.device(p)
	if err != nil {
		return nil, fmt.Errorf("lend session: %w", err)
	}
	done, err := login.Answer(offer, device, bundles, time.Now())
	if err != nil {
		return nil, fmt.Errorf("lend session: %w", err)
	}
	var given login.AppGiven
	if err := s.post(ctx, "/apps/lend", login.ServiceLoan{App: app, Scope: scope, Completion: *done}, &given); err != nil {
		return nil, fmt.Errorf("lend session: %w", err)
	}
	return &given, nil
}

// LaunchApp asks for the address at which a browser opens an app on a patient.
func (s *Session) LaunchApp(ctx context.Context, app, patientID string) (*login.AppLaunched, error) {
	var out login.AppLaunched
	if err := s.post(ctx, "/apps/launch", login.AppLaunch{App: app, PatientID: patientID}, &out); err != nil {
		return nil, fmt.Errorf("launch app: %w", err)
	}
	return &out, nil
}

// Parts are the parts of a record that scopes need for some actions, as far
// as the types tell: what a scope names goes to general or imaging unless it
// is sensitive by what is in it, and those parts a person adds by hand.
func Parts(s smart.Scopes, actions smart.Action) (parts []fhir.Category) {
	add := func(c fhir.Category) {
		if c > 0 && c <= fhir.Imaging && !slices.Contains(parts, c) {
			parts = append(parts, c)
		}
	}
	for _, c := range s.Clinical {
		switch {
		case c.Actions&actions == 0:
		case c.Type == smart.Any:
			add(fhir.General)
			add(fhir.Imaging)
		case !fhir.Directory(c.Type):
			if r, err := fhir.ParseResource([]byte(`{"resourceType":"` + c.Type + `"}`)); err == nil {
				add(fhir.CategoryOf(r))
			}
		}
	}
	slices.Sort(parts)
	return parts
}

// GiveApp signs what an app's agent needs: one grant to read and one to add,
// each naming only its own parts, so that neither widens the other. It gives
// what the agent then lends. The purpose cannot be PATRQT: that one is for the
// patient in person, and keepers refuse it to anybody else.
func (p *Person) GiveApp(ctx context.Context, n *client.Network, agent *Person, read, add []fhir.Category, purpose abaton.Purpose, life time.Duration) ([]session.Bundle, error) {
	own, err := p.Own(ctx, n)
	if err != nil {
		return nil, err
	}
	var out []session.Bundle
	for _, one := range []struct {
		parts   []fhir.Category
		actions grant.Action
	}{{read, grant.Read}, {add, grant.Deposit}} {
		if len(one.parts) == 0 {
			continue
		}
		g, seeds := p.grant(Terms{To: agent, Actions: one.actions, Categories: one.parts, Purpose: purpose, Life: life, Quota: RecordsMax})
		seeds, err := p.upToDate(ctx, n, seeds)
		if err != nil {
			return nil, fmt.Errorf("give app: %w", err)
		}
		id, _, err := n.Share(ctx, p.Hand(), g, seeds)
		if err != nil {
			return nil, fmt.Errorf("give app: %w", err)
		}
		if one.actions == grant.Read {
			seeds = slices.DeleteFunc(slices.Clone(own.Seeds), func(s grant.Seed) bool { return !slices.Contains(g.Lines, s.Line) })
		}
		out = append(out, session.Bundle{Patient: p.ID, Grant: id, Seeds: seeds})
	}
	return out, nil
}
