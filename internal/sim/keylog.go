package sim

import (
	"cmp"
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/custody"
	"github.com/abaton-health/abaton/internal/quorum"
	"github.com/abaton-health/abaton/internal/store"
)

// telling is what one keeper told of the patient's log.
type telling struct {
	x    abaton.KeeperIndex
	list []store.Statement
}

// fetch is the patient's log as a quorum of keepers tells it; nil when too few
// answered.
func (d *device) fetch(then func(*actor.View)) {
	w := d.w
	step := quorum.NewCollect(five, five.R(), five.R())
	var told []telling
	over := false
	var do func([]quorum.Effect)
	do = func(effects []quorum.Effect) {
		for _, e := range effects {
			switch e.Do {
			case quorum.Send:
				x := e.Keeper
				w.call(d.place(), x, callTimeout, func(k *keeper, reply func(func())) {
					list, ok := k.log(w.pool.patient.id)
					if !ok {
						return
					}
					reply(func() {
						told = append(told, telling{x: x, list: list})
						do(step.Answer(x, false))
					})
				}, func() { do(step.Lost(x)) })
			case quorum.Wake:
				w.after(e.After, func() { do(step.Timer()) })
			case quorum.Changed:
				if !over && step.State() != quorum.Working {
					over = true
					if step.Err() != nil {
						then(nil)
						return
					}
					then(w.view(told))
				}
			}
		}
	}
	do(step.Start())
}

// log is one keeper's copy of a key log.
func (k *keeper) log(id abaton.ActorID) (out []store.Statement, ok bool) {
	if k.mode() == custody.Stopped || k.lies(LieSilent) {
		return nil, false
	}
	err := k.store.Statements(id, 0, func(s store.Statement) bool {
		out = append(out, s)
		return true
	})
	// In the order of arrival: that of the store depends on names.
	slices.SortFunc(out, func(a, b store.Statement) int { return cmp.Compare(a.Index, b.Index) })
	if len(out) > 0 && k.lies(LieFeed) {
		out = out[:1]
	}
	if k.lies(LieBare) {
		out = stripped(out)
	}
	if k.lies(LieInvent) {
		out = append(k.invented(out), out...)
	}
	return out, err == nil
}

// view is the log that the answers of several keepers make together, reduced by
// what every client reduces with. Nil where two truths are told.
func (w *world) view(all []telling) *actor.View {
	var told []actor.Told
	at := make(map[actor.Hash]int) // place in told
	by := make(map[actor.Hash]quorum.Keepers)
	for _, t := range all {
		for _, s := range t.list {
			in, err := w.stated(s.Bytes)
			if err != nil {
				continue
			}
			var a *actor.Authentic
			var c actor.Certified
			switch in := in.(type) {
			case custody.Publish:
				a = in.Event
			case custody.Certify:
				a, c = in.Event, in.Certified
			}
			h := a.Hash()
			i, again := at[h]
			if !again {
				i = len(told)
				at[h], told = i, append(told, actor.Told{Event: a})
			}
			by[h] = by[h].With(t.x)
			told[i].By = by[h].Len()
			if c != (actor.Certified{}) {
				told[i].Certified = c
			}
		}
	}
	v, err := actor.NewView(told, five.F, w.clock())
	if err != nil || !v.State.Live() {
		return nil
	}
	return &v
}
