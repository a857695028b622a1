package people

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
)

// entryTries is how often one call looks at the log anew because something else
// took the place of the new passkey's event.
const entryTries = 3

// enter adds the new device's passkey and then its key, unless they are in.
func (w *World) enter(ctx context.Context, n *client.Network, r *Return) error {
	st, err := w.comeIn(ctx, n, r)
	if err != nil {
		return fmt.Errorf("come back: %w", err)
	}
	if st.KeyRights(r.Manage.ID()) == 0 {
		if _, err := n.AddKey(ctx, client.PasskeyHand(r.ID, r.Passkey), r.Manage, actor.Manage); err != nil {
			return fmt.Errorf("add key: %w", err)
		}
	}
	n.Refresh(r.ID)
	return nil
}

// comeIn adds the passkey and gives the log as it was before.
func (w *World) comeIn(ctx context.Context, n *client.Network, r *Return) (st *actor.State, err error) {
	for range entryTries {
		if err := n.Settle(ctx, r.ID); err != nil { // an earlier try may wait for its fourth keeper
			return nil, err
		}
		if st, err = n.Log(ctx, r.ID); err != nil {
			return nil, fmt.Errorf("read key log: %w", err)
		}
		if st.CredentialClass(r.Passkey.Credential()) != 0 {
			return st, nil
		}
		if err = w.sendEntry(ctx, n, r, st); !passedBy(err) {
			return st, err
		}
	}
	return nil, err
}

// passedBy reports whether another event took the place, so that the log had
// better be looked at again.
func passedBy(err error) bool {
	_, conflict := errors.AsType[*client.ConflictError](err)
	refused, _ := errors.AsType[*abaton.RefusedError](err)
	return conflict || refused != nil && (refused.Reason == abaton.ReasonSlot || refused.Reason == abaton.ReasonParent)
}

// sendEntry sends the event by which the passkey adds itself. It is made once, and
// kept before it is sent: a keeper votes for one event in a place for ever, and of
// two by the same passkey neither might get to four. It is made anew only when
// the certified log has no place for it any more.
func (w *World) sendEntry(ctx context.Context, n *client.Network, r *Return, st *actor.State) error {
	lost, err := w.entryLost(r, st)
	if err != nil {
		return err
	}
	if lost {
		if err := w.signEntry(ctx, n, r); err != nil {
			return err
		}
	}
	_, err = n.Publish(ctx, r.Entry)
	refused, _ := errors.AsType[*abaton.RefusedError](err)
	if refused != nil && refused.Reason == abaton.ReasonCredential && r.pending(st) && !st.Awaits(r.Passkey.Credential()) {
		return abaton.Refuse(abaton.ReasonWait) // keepers that were away have not heard of the recovery yet
	}
	return err
}

// entryLost reports whether there is no event yet that may still be certified.
func (w *World) entryLost(r *Return, st *actor.State) (bool, error) {
	if len(r.Entry) == 0 {
		return true, nil
	}
	signed, err := actor.ParseSigned(r.Entry)
	if err != nil {
		return false, errDamaged
	}
	a, err := actor.Authenticate(signed, w.set.RelyingParty)
	if err != nil {
		return false, errDamaged
	}
	return st.RulesOut(a), nil
}

func (w *World) signEntry(ctx context.Context, n *client.Network, r *Return) error {
	event, err := n.Draft(ctx, r.ID, &actor.CredentialAdd{Credential: r.credential()})
	if err != nil {
		return err
	}
	proof, err := client.PasskeyHand(r.ID, r.Passkey).Prove(event)
	if err != nil {
		return fmt.Errorf("sign event: %w", err)
	}
	r.Entry = actor.Signed(event, proof).Marshal()
	return w.saveReturn(r)
}

// pending reports whether the log knows this recovery and nobody stopped it.
func (r *Return) pending(st *actor.State) bool {
	name := actor.HashOf(r.Event)
	return slices.ContainsFunc(st.Recoveries(), func(one actor.Recovery) bool { return one.Event == name && !one.Stopped })
}
