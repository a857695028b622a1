package emergency

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// Config says which authority this is. All fields are needed but Log and Now.
type Config struct {
	Network *client.Network // its Asker is a key of the authority's own log
	Actor   abaton.ActorID
	Box     *key.Box
	// Organisations whose clinicians it serves; of none, it lends nothing.
	Organisations []abaton.ActorID
	Log           *slog.Logger
	Now           func() time.Time
}

// Authority lends half A of emergency sets. Safe for concurrent use. It holds
// no state besides its keys: what bounds a thief is at the keepers, without
// which it lends nothing.
type Authority struct{ cfg Config }

// NewAuthority checks the configuration.
func NewAuthority(cfg Config) (*Authority, error) {
	if cfg.Network == nil || cfg.Box == nil || cfg.Actor == (abaton.ActorID{}) {
		return nil, errors.New("authority: network, actor and box are needed")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Authority{cfg: cfg}, nil
}

// Lend answers one question (PROTOCOL.md#lend). It checks for itself what the
// keepers check and can be seen from the key logs, and asks for T keepers'
// words for the rest: that they ledgered, that the role is not new, that the
// budgets hold. Refusals are *abaton.RefusedError.
func (a *Authority) Lend(ctx context.Context, body []byte) ([]byte, error) {
	if len(body) > BodyMax {
		return nil, abaton.Refuse(abaton.ReasonTooLarge)
	}
	var q question
	if wire.Unmarshal(body, &q) != nil || q.V != wire.Version || len(q.Released) > abaton.KeepersMax {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	sealed, err := a.lend(ctx, &q)
	if err != nil {
		return nil, err
	}
	return wire.Marshal(answer{V: wire.Version, Sealed: sealed}), nil
}

func (a *Authority) lend(ctx context.Context, q *question) ([]byte, error) {
	asked, err := session.ParseRequest(q.Request)
	if err != nil {
		return nil, err
	}
	s, patient, err := a.opens(ctx, q.Signed, asked)
	if err != nil {
		return nil, err
	}
	e, ended := patient.Escrow(asked.Grant)
	if e == nil || ended || e.Kind != actor.EscrowEmergency {
		return nil, abaton.Refuse(abaton.ReasonGrant)
	}
	i := slices.IndexFunc(e.Wraps, func(w actor.HalfWrap) bool { return w.Holder == a.cfg.Actor })
	if i < 0 {
		return nil, abaton.Refuse(abaton.ReasonGrant)
	}
	if err := a.released(q.Released, asked); err != nil {
		return nil, err
	}
	half, err := e.OpenWrap(asked.Patient, e.Wraps[i], a.cfg.Box)
	if err != nil {
		return nil, abaton.Refuse(abaton.ReasonShare)
	}
	hash := asked.Hash()
	sealed, err := s.Reply().SealTo(wire.LentHalf, hash[:], half[:])
	if err != nil {
		return nil, fmt.Errorf("seal half: %w", err)
	}
	a.cfg.Log.InfoContext(ctx, "half lent", "organisation", s.Statement().Organisation.String(), "device", s.Statement().Device.String())
	return sealed, nil
}

// opens verifies session, request and emergency statement against the key logs
// as three keepers tell them now.
func (a *Authority) opens(ctx context.Context, signed []byte, asked *session.Asked) (*session.Session, *actor.State, error) {
	statement, err := session.ParseSigned(signed)
	if err != nil {
		return nil, nil, err
	}
	var st session.Statement
	if wire.Unmarshal(statement.Statement, &st) != nil {
		return nil, nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	if !slices.Contains(a.cfg.Organisations, st.Organisation) || st.Role != abaton.RoleEmergency {
		return nil, nil, abaton.Refuse(abaton.ReasonStanding)
	}
	n, now := a.cfg.Network, a.cfg.Now()
	ids := []abaton.ActorID{st.Actor, st.Organisation, st.Device, asked.Patient}
	n.Refresh(ids...)
	logs, err := n.Logs(ctx, ids...)
	if err != nil {
		return nil, nil, fmt.Errorf("read key logs: %w", err)
	}
	org, patient := logs[st.Organisation], logs[asked.Patient]
	if org == nil || patient == nil || !patient.Live() || patient.Kind() != actor.Patient {
		return nil, nil, abaton.Refuse(abaton.ReasonActor)
	}
	rp, ok := org.RelyingParty()
	if !ok {
		rp = n.Set().RelyingParty
	}
	s, err := session.Authenticate(statement, rp)
	if err != nil {
		return nil, nil, err
	}
	check := session.Check{Actor: logs[st.Actor], Organisation: org, Device: logs[st.Device], Set: n.Set().ID(), Now: now}
	if err := a.lentStaff(ctx, &check, &st); err != nil {
		return nil, nil, err
	}
	if err := s.Live(check); err != nil {
		return nil, nil, err
	}
	if err := asked.Authenticate(s, now); err != nil {
		return nil, nil, err
	}
	said, err := asked.Opens(s, rp, now)
	if err != nil {
		return nil, nil, err
	}
	if (patient.Barred(st.Actor, now) || patient.Barred(st.Organisation, now)) && !said.Sole {
		return nil, nil, abaton.Refuse(abaton.ReasonBarred)
	}
	return s, patient, nil
}

// lentStaff: a clinician who came in by another organisation stands on both.
func (a *Authority) lentStaff(ctx context.Context, c *session.Check, st *session.Statement) error {
	if c.Actor == nil || c.Actor.Organisation() == st.Organisation {
		return nil
	}
	home, err := a.cfg.Network.Log(ctx, c.Actor.Organisation())
	if err != nil {
		return fmt.Errorf("read key logs: %w", err)
	}
	c.Home = home
	return nil
}

// released: T keepers of the set say that they released their shares to this
// very request, now.
func (a *Authority) released(words [][]byte, asked *session.Asked) error {
	set, now := a.cfg.Network.Set(), a.cfg.Now()
	said := make(map[abaton.KeeperIndex]bool)
	for _, data := range words {
		var signed wire.Signed
		var w keeper.Released
		if wire.Unmarshal(data, &signed) != nil || wire.Unmarshal(signed.Body, &w) != nil {
			return abaton.Refuse(abaton.ReasonMalformed)
		}
		k := set.Keeper(w.Keeper)
		if k == nil || !key.Verify(k.Key, wire.Released, signed.Body, signed.Sig) {
			return abaton.Refuse(abaton.ReasonSignature)
		}
		skew := now.Sub(time.Unix(int64(w.Time), 0)).Abs()
		if w.V == wire.Version && w.Request == asked.Hash() && w.Patient == asked.Patient && w.Escrow == asked.Grant && skew <= abaton.ClockSkewMax {
			said[w.Keeper] = true
		}
	}
	if len(said) < int(set.T) {
		return abaton.Refuse(abaton.ReasonCertificate)
	}
	return nil
}
