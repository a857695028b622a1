package intake

import (
	"context"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/gateway"
	"github.com/abaton-health/abaton/internal/hl7"
)

// lane is the messages of one patient, in the order in which they came. What
// waits while one group is on its way goes together with the next.
type lane struct{ jobs []*job }

func (in *Intake) enqueue(patient abaton.ActorID, j *job) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if l := in.lanes[patient]; l != nil {
		l.jobs = append(l.jobs, j)
		return
	}
	in.lanes[patient] = &lane{jobs: []*job{j}}
	in.work.Go(func() { in.run(patient) })
}

// gather waits while a lane grows: what comes in one go is written in one go,
// which costs the keepers a fraction.
func (in *Intake) gather(patient abaton.ActorID) {
	tick := time.NewTicker(gatherStep)
	defer tick.Stop()
	last := 0
	for range int(gatherMost / gatherStep) {
		<-tick.C
		in.mu.Lock()
		now := len(in.lanes[patient].jobs)
		in.mu.Unlock()
		if now == last || now >= groupMessagesMax {
			return
		}
		last = now
	}
}

// run works a lane off; it ends with the last message.
func (in *Intake) run(patient abaton.ActorID) {
	for {
		in.gather(patient)
		group := in.next(patient)
		if len(group) == 0 {
			return
		}
		if patient == (abaton.ActorID{}) {
			in.setAside(group)
		} else {
			in.file(patient, group)
		}
	}
}

// next takes the group that goes together: at most so many, and no message
// twice.
func (in *Intake) next(patient abaton.ActorID) []*job {
	in.mu.Lock()
	defer in.mu.Unlock()
	l := in.lanes[patient]
	if len(l.jobs) == 0 {
		delete(in.lanes, patient)
		return nil
	}
	most := groupMessagesMax
	if patient == (abaton.ActorID{}) {
		most = asideMax
	}
	taken, resources := 0, 0
	keys := make(map[[32]byte]bool)
	for _, j := range l.jobs {
		if taken == most || keys[j.key] || j.mapped != nil && taken > 0 && resources+j.mapped.Resources > groupResourcesMax {
			break
		}
		keys[j.key] = true
		if j.mapped != nil {
			resources += j.mapped.Resources
		}
		taken++
	}
	group := l.jobs[:taken:taken]
	l.jobs = l.jobs[taken:]
	return group
}

// file writes a group of one patient's messages.
func (in *Intake) file(patient abaton.ActorID, group []*job) {
	ctx, cancel := context.WithTimeout(context.Background(), fileMax)
	defer cancel()
	s, err := in.c.Session()
	if err != nil {
		in.deferAll(group, textNoSession)
		return
	}
	fresh, err := in.unknown(ctx, s, patient, group)
	if err != nil {
		in.fail(patient, fresh, err)
		return
	}
	if len(fresh) == 0 {
		return
	}
	bundles := make([][]byte, len(fresh))
	for i, j := range fresh {
		bundles[i] = j.mapped.Bundle
	}
	done, err := s.Transact(ctx, patient, bundles...)
	if err != nil {
		in.fail(patient, fresh, err)
		return
	}
	for _, j := range fresh {
		if j.mapped.Corrects {
			s.Changed(patient)
		}
	}
	if !in.durable(ctx, done, fresh) {
		return
	}
	in.resolve(ctx, s, fresh)
	for _, j := range fresh {
		in.filed(j, "filed")
	}
}

// unknown answers the messages of a group that are filed already and gives
// the rest. With an error the rest has to be answered.
func (in *Intake) unknown(ctx context.Context, s Session, patient abaton.ActorID, group []*job) (fresh []*job, err error) {
	for i, j := range group {
		if in.unsettledNow(j) {
			continue
		}
		known, err := s.Known(ctx, patient, "Provenance", j.mapped.Source)
		if err != nil {
			return append(fresh, group[i:]...), err
		}
		if known {
			in.resolve(ctx, s, []*job{j})
			in.filed(j, "known")
			continue
		}
		fresh = append(fresh, j)
	}
	return fresh, nil
}

// unsettledNow answers a message that came before and was pending then: it is
// durable now, or still not. False when it has to be written.
func (in *Intake) unsettledNow(j *job) bool {
	in.mu.Lock()
	batches, ok := in.unsettled[j.key]
	in.mu.Unlock()
	if !ok {
		return false
	}
	durable, refused := in.c.Settled(batches...)
	if !durable && refused == "" {
		in.deferred(j, textTransient)
		return true
	}
	in.mu.Lock()
	delete(in.unsettled, j.key)
	in.mu.Unlock()
	if refused != "" {
		return false
	}
	if j.why != nil {
		in.kept(j)
	} else {
		in.filed(j, "filed")
	}
	return true
}

// durable waits until what was written is at the write quorum. If that takes
// too long the senders are told to send again, and it is kept in mind that
// their messages are on their way.
func (in *Intake) durable(ctx context.Context, done *gateway.Transacted, group []*job) bool {
	if !done.Pending {
		return true
	}
	end := time.NewTimer(pendingPatience)
	defer end.Stop()
	poll := time.NewTicker(pendingPoll)
	defer poll.Stop()
	for waiting := true; waiting; {
		select {
		case <-poll.C:
			if ok, _ := in.c.Settled(done.Batches...); ok {
				return true
			}
		case <-end.C:
			waiting = false
		case <-ctx.Done():
			waiting = false
		}
	}
	in.mu.Lock()
	for _, j := range group {
		if len(in.unsettled) < unsettledMax {
			in.unsettled[j.key] = done.Batches
		}
	}
	in.mu.Unlock()
	in.deferAll(group, textTransient)
	return false
}

// fail ends a group that was not written: sent again if the trouble may pass;
// else each message is tried alone, and the one at fault is set aside.
func (in *Intake) fail(patient abaton.ActorID, group []*job, err error) {
	switch {
	case len(group) == 0:
	case passing(err):
		in.c.Log.Warn("messages deferred", "messages", len(group), "error", err.Error())
		in.deferAll(group, textTransient)
	case len(group) == 1:
		in.aside(group[0], whyNot(err))
	default:
		for _, j := range group {
			in.file(patient, []*job{j})
		}
	}
}

func (in *Intake) deferAll(group []*job, text string) {
	for _, j := range group {
		in.deferred(j, text)
	}
}

// setAside writes a group into the quarantine.
func (in *Intake) setAside(group []*job) {
	ctx, cancel := context.WithTimeout(context.Background(), fileMax)
	defer cancel()
	s, err := in.c.Session()
	if err != nil {
		in.deferAll(group, textNoSession)
		return
	}
	var fresh []*job
	var all []gateway.Aside
	for _, j := range group {
		if in.unsettledNow(j) {
			continue
		}
		fresh = append(fresh, j)
		all = append(all, gateway.Aside{Key: j.key, Type: hl7.AsideType, Content: hl7.SetAside(j.raw, j.why, in.c.Now())})
	}
	if len(fresh) == 0 {
		return
	}
	done, err := s.SetAside(ctx, all...)
	if err != nil {
		in.c.Log.Warn("quarantine does not take messages", "messages", len(fresh), "error", err.Error())
		in.deferAll(fresh, textTransient)
		return
	}
	if !in.durable(ctx, done, fresh) {
		return
	}
	for _, j := range fresh {
		in.kept(j)
	}
}

// resolve takes messages that were tried again, and are filed now, off the
// quarantine's list. It is a convenience: that it fails leaves a list too long.
func (in *Intake) resolve(ctx context.Context, s Filer, group []*job) {
	var all []gateway.Aside
	for _, j := range group {
		if j.retry {
			all = append(all, gateway.Aside{Key: j.key, Type: hl7.AsideType, Resolved: true})
		}
	}
	if len(all) == 0 {
		return
	}
	if _, err := s.SetAside(ctx, all...); err != nil {
		in.c.Log.Warn("quarantine entry not taken off the list", "error", err.Error())
	}
}
