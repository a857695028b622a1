package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/people"
)

// isActor reports whether a name is one that keepers know, act1..., and no handle.
func isActor(name string) bool {
	_, err := abaton.ParseActorID(name)
	return err == nil
}

// named is somebody, or a device, by handle or act1.... Of whoever enrolled in a
// browser there is no more here than the key log says: a name, a kind, whose it
// is and the box, and no key (Manage is nil). It fails with people.ErrNobody when
// no keeper knows the name either.
func (d *device) named(ctx context.Context, who string) (*people.Person, error) {
	p, err := d.at.People().Find(who)
	if !errors.Is(err, people.ErrNobody) {
		return p, err
	}
	id, notActor := abaton.ParseActorID(who)
	if notActor != nil {
		return nil, err
	}
	st, logErr := d.net.Log(ctx, id)
	if errors.Is(logErr, abaton.ErrNotFound) {
		return nil, err
	}
	if logErr != nil {
		return nil, fmt.Errorf("read key log of %s: %w", short(who), logErr)
	}
	p = &people.Person{Handle: short(who), Name: short(who), ID: id, Kind: st.Kind(), Sponsor: st.Organisation()}
	if box, err := st.Box(); err == nil { // without one nothing can be given
		p.Public = box
	}
	return p, nil
}
