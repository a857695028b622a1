package session

import (
	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// deviceProof is a device's signature over a session's id, under label
// wire.DeviceProof: this passkey was used on this device, for this session.
type deviceProof struct {
	Key abaton.KeyID `cbor:"1,keyasint"`
	Sig []byte       `cbor:"2,keyasint"`
}

// DeviceProof makes what Signed.Device carries, with a key of the device's log
// that has the right actor.DeviceRight.
func DeviceProof(k *key.Signing, id abaton.SessionID) []byte {
	return wire.Marshal(deviceProof{Key: k.ID(), Sig: k.Sign(wire.DeviceProof, id[:])})
}

// readDevice: a statement that names a device carries the device's signature
// and the organisation's word about it, and no other statement does.
func (s *Session) readDevice(signed *Signed) error {
	if s.statement.Device == (abaton.ActorID{}) {
		if len(signed.Device)+len(signed.Posture) > 0 {
			return abaton.Refuse(abaton.ReasonMalformed)
		}
		return nil
	}
	var p deviceProof
	if wire.Unmarshal(signed.Device, &p) != nil || !key.Verify(p.Key, wire.DeviceProof, s.id[:], p.Sig) {
		return abaton.Refuse(abaton.ReasonDevice)
	}
	posture, err := actor.ParsePosture(signed.Posture)
	if err != nil {
		return err
	}
	if posture.Device != s.statement.Device || posture.Organisation != s.statement.Organisation {
		return abaton.Refuse(abaton.ReasonDevice)
	}
	s.device, s.posture = p.Key, posture
	return nil
}

// Level is how much the organisation knows of the device, as it said for this
// session; zero where none takes part.
func (s *Session) Level() actor.Level {
	if s.posture == nil {
		return 0
	}
	return s.posture.Level
}

// PostureUntil is until when the posture of the session's device holds, in
// unix seconds; zero without a device.
func (s *Session) PostureUntil() int64 {
	if s.posture == nil {
		return 0
	}
	return s.posture.Until
}

// deviceHolds: a clinician sits at a device that its organisation enrolled,
// has not ended or barred, and vouches for now. Others bring none.
func (s *Session) deviceHolds(c Check) bool {
	if !c.sits(&s.statement) {
		return false
	}
	if c.Actor.Kind() != actor.Clinician {
		return true
	}
	return s.posture != nil && c.Device.KeyRights(s.device)&actor.DeviceRight != 0 && c.Organisation.Vouches(s.posture, c.Now)
}

// sits: the device that the statement names is live and of the organisation
// that it names.
func (c Check) sits(st *Statement) bool {
	if c.Actor.Kind() != actor.Clinician {
		return st.Device == (abaton.ActorID{})
	}
	d, org := c.Device, c.Organisation
	if d == nil || !d.Live() || d.Stopped() || d.Kind() != actor.Device || d.Actor() != st.Device {
		return false
	}
	return org != nil && org.Actor() == st.Organisation && d.Organisation() == org.Actor() && !org.Barred(d.Actor(), c.Now)
}
