package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/durable"
	"github.com/abaton-health/abaton/internal/relation"
	"github.com/abaton-health/abaton/wire"
)

// relationBook is what the desk told, beside the organisation's keys: keepers
// list relations to nobody.
type relationBook struct {
	V       uint8            `cbor:"1,keyasint"`
	Entries []relation.Entry `cbor:"2,keyasint"`
}

func (m *employer) bookPath() string { return filepath.Join(m.at.People().Dir(m.Handle), "relations") }

// toldOf is everything that was told and not replaced.
func (m *employer) toldOf() ([]relation.Entry, error) {
	data, err := os.ReadFile(m.bookPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var b relationBook
	if err == nil && (wire.Unmarshal(data, &b) != nil || b.V != wire.Version) {
		err = errors.New("the file is damaged")
	}
	if err != nil {
		return nil, fmt.Errorf("read relations: %w", err)
	}
	return b.Entries, nil
}

// standing are those that have not ended.
func standing(all []relation.Entry, now time.Time) []relation.Entry {
	return slices.DeleteFunc(slices.Clone(all), func(e relation.Entry) bool { return e.Until <= now.Unix() })
}

// writeTold writes down what was told, in the place of what it replaces.
func (m *employer) writeTold(entries []relation.Entry) error {
	all, err := m.toldOf()
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(standing(all, time.Now()), func(old relation.Entry) bool {
		return slices.ContainsFunc(entries, func(e relation.Entry) bool { return relation.Compare(e, old) == 0 })
	})
	all = append(all, entries...)
	if len(all) > abaton.ElementsMax {
		return errors.New("write relations: too many stand")
	}
	return durable.WriteFile(m.bookPath(), wire.Marshal(relationBook{V: wire.Version, Entries: all}), 0o600)
}
