package detect

import "github.com/abaton-health/abaton"

// Forgive forgets what was noted of one actor: an organisation has lifted what
// was found, and what comes afterwards is found anew.
func (w *Watch) Forgive(actor abaton.ActorID) {
	if t := w.trails[actor]; t != nil {
		w.forget(actor, t)
	}
}
