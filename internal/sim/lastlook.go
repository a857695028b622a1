package sim

// lastLook is the proof of the whole, once everything is healed: the patient
// gives a fresh grant, the reader lists, finds all that was acknowledged, opens
// it, and the patient sees who looked (I2, I3, I6).
func (w *world) lastLook() {
	r, d := w.readers[0], w.devices[0]
	done := false
	wanted := d.wishGrant(0)
	d.publish(0, wanted, func() {
		if !wanted.fact.live {
			w.fail("I2", "a grant did not come into force with nothing wrong any more")
			return
		}
		r.list(wanted.fact, func() {
			w.openAll(wanted.fact, func() {
				if w.plan.Seed%3 != 0 { // a history costs as much as all the rest of the look
					done = true
					return
				}
				d.history(func() { done = true })
			})
		})
	})
	if !w.until(w.now+patience, func() bool { return done }) {
		w.fail("liveness", "the last look did not end within %v", patience)
	}
}

// openAll reads every acknowledged batch in one request.
func (w *world) openAll(g *grantFact, then func()) {
	r := w.readers[0]
	var rows []*batch
	for id, acked := range w.checker.ackedNow() {
		if acked {
			rows = append(rows, w.pool.batches[id])
		}
	}
	if len(rows) == 0 {
		then()
		return
	}
	before := w.result.Done.Opened
	r.read(g, rows, func() {
		if w.result.Done.Opened == before {
			w.fail("I2", "with nothing wrong any more, %d acknowledged batches do not open", len(rows))
			return
		}
		then()
	})
}
