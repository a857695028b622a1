package detect

// place is one session and the device it was first seen on.
type place struct {
	session, device uint64
	last            uint32
}

// known is a device of this person.
type known struct {
	device uint64
	last   uint32
}

// places is D7. A session on another device is stolen. A person in two places
// within DeviceSpan steps up: who comes back to a session that stayed elsewhere
// while another was in use, for the second time, or for an unrelated patient;
// once for a related one is a look at the next desk. So does who opens an
// unrelated patient on a device that this person was not at in the last month,
// unless it is a desk of the house.
// Moving on with a new session is what people do, and was a touch of the passkey
// itself.
func (v *view) places() Level {
	device, session := short(v.a.Device), v.t.session(short(v.a.Session))
	if session != nil && session.device != device {
		return SuspendSession
	}
	if v.a.Program {
		return 0
	}
	unrelated := v.a.Opens && !v.a.Renewal && v.unrelated()
	if v.t.returns(session, device, v.now, v.w.t.DeviceSpan) && (unrelated || within(v.now, v.t.returned, v.w.t.DeviceSpan)) {
		return v.askOnce()
	}
	if unrelated && v.t.strange(device, v.now) && !v.w.shared(device, v.now) {
		return v.askOnce()
	}
	return 0
}

// returns: to a session used within span, from another device, where the newest act was.
func (t *trail) returns(session *place, device uint64, now, span uint32) bool {
	current := &t.sessions[t.current]
	return session != nil && current.device != device && within(now, session.last, span)
}

// session finds a session seen before.
func (t *trail) session(session uint64) *place {
	for i := range t.sessions {
		if s := &t.sessions[i]; s.last != 0 && s.session == session {
			return s
		}
	}
	return nil
}

// strange: this person has devices, and not this one in the last month. The
// first device of all is nobody's surprise.
func (t *trail) strange(device uint64, now uint32) bool {
	some := false
	for _, k := range t.devices {
		if within(now, k.last, month) {
			if k.device == device {
				return false
			}
			some = true
		}
	}
	return some
}

// stand notes where this person is.
func (t *trail) stand(session, device uint64, now, span uint32) {
	if t.returns(t.session(session), device, now, span) {
		t.returned = now
	}
	at := 0
	for i, s := range t.sessions {
		if s.last != 0 && s.session == session {
			at = i
			break
		}
		if s.last < t.sessions[at].last {
			at = i
		}
	}
	if s := &t.sessions[at]; s.session != session || s.last == 0 {
		*s = place{session: session, device: device}
	}
	t.sessions[at].last = max(t.sessions[at].last, now)
	t.current = uint8(at)
	t.own(device, now)
}

func (t *trail) own(device uint64, now uint32) {
	at := 0
	for i, k := range t.devices {
		if k.last != 0 && k.device == device {
			at = i
			break
		}
		if k.last < t.devices[at].last {
			at = i
		}
	}
	t.devices[at] = known{device, now}
}
