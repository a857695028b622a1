package daemon

import (
	"errors"
	"fmt"
	"os"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/keeper"
)

// ParseSet reads a keeper-set file.
func ParseSet(path string) (*actor.Set, error) {
	file, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read keeper set: %w", err)
	}
	set, err := actor.ParseSet(file)
	if err != nil {
		return nil, fmt.Errorf("keeper set: %w", err)
	}
	return set, nil
}

// ReadSet is ParseSet of the set that has the pinned name.
func ReadSet(path, id string) (*actor.Set, error) {
	set, err := ParseSet(path)
	if err != nil {
		return nil, err
	}
	if set.ID().String() != id {
		return nil, errors.New("keeper set: the file is not the set named by set_id")
	}
	return set, nil
}

// Dial prepares pinned calls to the keepers of a set, but to the one that is own
// (zero leaves none out), each as the caller takes it. It sends nothing yet.
func Dial[K any](set *actor.Set, own abaton.KeeperIndex, as func(*keeper.Client) K) (keepers map[abaton.KeeperIndex]K, closeAll func(), err error) {
	keepers = make(map[abaton.KeeperIndex]K)
	var dialled []*keeper.Client
	closeAll = func() {
		for _, k := range dialled {
			k.Close()
		}
	}
	for i := range set.Keepers {
		e := &set.Keepers[i]
		if e.X == own {
			continue
		}
		k, err := keeper.Dial(e.URL, e.SPKI)
		if err != nil {
			closeAll()
			return nil, nil, fmt.Errorf("keeper %d: %w", e.X, err)
		}
		keepers[e.X], dialled = as(k), append(dialled, k)
	}
	return keepers, closeAll, nil
}
