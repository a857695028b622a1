package detect

import "github.com/abaton-health/abaton"

// Forgive forgets what was noted of one actor: an organisation has lifted what
// was found, and what comes afterwards is found anew.
func (w *Watch) Forgive(actor abaton.ActorID) {
	if t := w.trails[actor]; t != nil {
		w.forget(actor, t)
	}
}

// ForgiveSession forgets what was noted of whoever was seen in this session
// lately: a verdict about a session does not say whose it is.
func (w *Watch) ForgiveSession(session abaton.SessionID) {
	id := short(session)
	for actor, t := range w.trails {
		if t.last == id || t.session(id) != nil {
			w.forget(actor, t)
		}
	}
}
