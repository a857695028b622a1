package people

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// Team names a team of an organisation.
type Team struct {
	ID           abaton.ActorID
	Organisation abaton.ActorID
}

// boxes are the boxes that open what was given to a person, by the name it was
// given to: the person's own, and those of the teams the person is in.
type boxes map[abaton.ActorID][]*key.Box

// boxes looks up the teams in the organisation's log, and for a session in a
// colleague's place in the colleague's.
func (p *Person) boxes(ctx context.Context, n *client.Network) (boxes, error) {
	out := boxes{p.ID: {p.Box}}
	if p.Kind != actor.Clinician || p.Box == nil {
		return out, nil
	}
	if p.Behalf != (abaton.ActorID{}) {
		return p.lentBoxes(ctx, n)
	}
	log, err := n.Log(ctx, p.Sponsor)
	if err != nil {
		return nil, fmt.Errorf("look for teams: %w", err)
	}
	now := time.Now()
	for _, t := range log.Teams() {
		if !log.Seated(t.Team, p.ID, now) {
			continue
		}
		for _, s := range log.SeatSeeds(t.Team, p.ID) {
			box, err := actor.OpenTeamSeed(p.Box, t.Team, s.Public, s.Sealed)
			if err != nil {
				return nil, err
			}
			out[t.Team] = append(out[t.Team], box)
		}
	}
	return out, nil
}

// lentBoxes are those of the teams in which a colleague handed the place on.
func (p *Person) lentBoxes(ctx context.Context, n *client.Network) (boxes, error) {
	n.Refresh(p.Behalf)
	log, err := n.Log(ctx, p.Behalf)
	if err != nil {
		return nil, fmt.Errorf("look for duty: %w", err)
	}
	org, err := n.Log(ctx, p.Sponsor)
	if err != nil {
		return nil, fmt.Errorf("look for duty: %w", err)
	}
	out := make(boxes)
	for _, d := range log.Duties(time.Now()) {
		t := org.Team(d.Team)
		if d.To != p.ID || t == nil {
			continue
		}
		box, err := actor.OpenTeamSeed(p.Box, d.Team, t.Public, d.Sealed)
		if err != nil {
			return nil, fmt.Errorf("duty in a team whose key has moved on: %w", err)
		}
		out[d.Team] = []*key.Box{box}
	}
	return out, nil
}

// firstOf tries the boxes in turn; the last failure is the error.
func firstOf[T any](own []*key.Box, open func(*key.Box) (T, error)) (value T, err error) {
	err = key.ErrBox
	for _, b := range own {
		if value, err = open(b); err == nil {
			return value, nil
		}
	}
	return value, err
}

// teamSeed is the seed of a team's key in one epoch, drawn from the
// organisation's root, so that nothing more has to be kept.
func (p *Person) teamSeed(team abaton.ActorID, epoch uint32) key.Secret {
	h := wire.Hash(wire.TeamSeed, team[:])
	return p.Root.SegmentSeed(abaton.Category(h[:len(abaton.Category{})]), epoch)
}

// NewTeam names a new team of this organisation.
func (p *Person) NewTeam() (t Team, nonce [grant.NonceBytes]byte) {
	rand.Read(nonce[:])
	return Team{ID: actor.TeamID(p.ID, nonce), Organisation: p.ID}, nonce
}

// ErrNoTeam says that the organisation has no such team.
var ErrNoTeam = errors.New("no such team")

// SetTeam publishes who is in a team from now on. The team's key moves on when
// somebody drops out; what patients gave before is to be given anew.
func (p *Person) SetTeam(ctx context.Context, n *client.Network, by client.Hand, body *actor.Team, members ...abaton.ActorID) (client.Published, error) {
	n.Refresh(p.ID)
	log, err := n.Log(ctx, p.ID)
	if err != nil {
		return client.Published{}, fmt.Errorf("set team: %w", err)
	}
	body.Epoch = 1
	if last := log.Team(body.Team); last != nil {
		body.Nonce, body.Epoch = last.Nonce, last.Epoch
		if slices.ContainsFunc(last.Seats, func(s actor.Seat) bool { return !slices.Contains(members, s.Actor) }) {
			body.Epoch++
		}
	}
	seed := p.teamSeed(body.Team, body.Epoch)
	body.Public = key.BoxFromSeed(seed).Public().Bytes()
	if body.Seats, err = seats(ctx, n, body.Team, seed, members); err != nil {
		return client.Published{}, fmt.Errorf("set team: %w", err)
	}
	done, err := n.Append(ctx, by, body)
	if err != nil {
		return done, fmt.Errorf("set team: %w", err)
	}
	return done, nil
}

func seats(ctx context.Context, n *client.Network, team abaton.ActorID, seed key.Secret, members []abaton.ActorID) (out []actor.Seat, err error) {
	slices.SortFunc(members, func(a, b abaton.ActorID) int { return bytes.Compare(a[:], b[:]) })
	for _, who := range slices.Compact(members) {
		log, err := n.Log(ctx, who)
		if err != nil {
			return nil, err
		}
		box, err := log.Box()
		if err != nil {
			return nil, err
		}
		sealed, err := actor.SealTeamSeed(box, team, seed)
		if err != nil {
			return nil, err
		}
		out = append(out, actor.Seat{Actor: who, Sealed: sealed})
	}
	return out, nil
}

// HandOn hands this clinician's place in a team to a colleague for a shift.
func (p *Person) HandOn(ctx context.Context, n *client.Network, team Team, to abaton.ActorID, from, until time.Time) (client.Published, error) {
	n.Refresh(team.Organisation)
	org, err := n.Log(ctx, team.Organisation)
	if err != nil {
		return client.Published{}, fmt.Errorf("hand on: %w", err)
	}
	t := org.Team(team.ID)
	if t == nil {
		return client.Published{}, fmt.Errorf("hand on: %w", ErrNoTeam)
	}
	log, err := n.Log(ctx, to)
	if err != nil {
		return client.Published{}, fmt.Errorf("hand on: %w", err)
	}
	box, err := log.Box()
	if err != nil {
		return client.Published{}, fmt.Errorf("hand on: %w", err)
	}
	d := &actor.Duty{To: to, Team: team.ID, From: from.Unix(), Until: until.Unix()}
	for _, s := range org.SeatSeeds(team.ID, p.ID) {
		if !bytes.Equal(s.Public, t.Public) {
			continue
		}
		seed, err := actor.TeamSeedOf(p.Box, team.ID, s.Public, s.Sealed)
		if err != nil {
			return client.Published{}, err
		}
		if d.Sealed, err = actor.SealTeamSeed(box, team.ID, seed); err != nil {
			return client.Published{}, err
		}
	}
	if d.Sealed == nil {
		return client.Published{}, fmt.Errorf("hand on: no seat in this team: %w", abaton.ErrNotFound)
	}
	done, err := n.Append(ctx, p.Hand(), d)
	if err != nil {
		return done, fmt.Errorf("hand on: %w", err)
	}
	return done, nil
}
