package fhir

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
)

// A Version is one version of a resource as a chart holds it.
type Version struct {
	Type        string
	ID          string
	VersionID   string
	LastUpdated time.Time
	Parents     []string // versions it was written over; none for the first
	Deleted     bool     // a deletion; Body may be empty
	Rank        string   // of heads of a fork the smallest is read (RULINGS 7); sorts as text
	Body        []byte   // the client's exact bytes
}

// A Chart holds the versions of one patient's granted resources, or of a
// directory. The zero Chart is empty and ready. Add needs to be alone; any
// number may read at once when nothing is added.
type Chart struct {
	Indexer Indexer // told of every current version; nil tells nobody

	items  map[chartKey]*chartItem
	sorted []*chartItem // not deleted, by lastUpdated, type, id
}

// An Indexer is what searches a chart. Put comes for a version that is now to
// be read, also in place of another; Remove for a resource that was deleted.
// The version stays as it is and may be kept.
type Indexer interface {
	Put(v *Version, r Resource)
	Remove(name, id string)
}

type chartKey struct{ name, id string }

// A chartItem is one resource.
type chartItem struct {
	versions []*Version // as added
	current  int        // of versions
	forked   bool
}

// Add puts versions into the chart. A version that is there already (type, id
// and versionId) is passed over, so adding twice changes nothing; parents may
// come later than their children or never. An error (the wrong type or id, a
// body that is no resource of that type) adds nothing at all.
func (c *Chart) Add(versions ...Version) error {
	parsed := make([]Resource, len(versions))
	for i := range versions {
		r, err := versions[i].check()
		if err != nil {
			return fmt.Errorf("add version %d to chart: %w", i, err)
		}
		parsed[i] = r
	}
	if c.items == nil {
		c.items = map[chartKey]*chartItem{}
	}
	for i, v := range versions {
		c.add(v, parsed[i])
	}
	c.arrange(versions)
	return nil
}

// check reads the body of a version, absent for a deletion without one.
func (v *Version) check() (Resource, error) {
	if !IsType(v.Type) || !IsID(v.ID) || !IsID(v.VersionID) {
		return Resource{}, refuse(statusUnprocessable, "value", "", "a version needs a type of R4, an id and a versionId")
	}
	if v.Deleted && len(v.Body) == 0 {
		return Resource{}, nil
	}
	r, err := ParseResource(v.Body)
	if err != nil {
		return Resource{}, err
	}
	if r.Type != v.Type {
		return Resource{}, refuse(statusUnprocessable, "invalid", "", "the version's body is of another type")
	}
	return r, nil
}

func (c *Chart) add(v Version, r Resource) {
	key := chartKey{v.Type, v.ID}
	item := c.items[key]
	if item == nil {
		item = &chartItem{}
		c.items[key] = item
	}
	if slices.ContainsFunc(item.versions, func(o *Version) bool { return o.VersionID == v.VersionID }) {
		return
	}
	was := item.current
	item.versions = append(item.versions, &v)
	heads := item.heads()
	item.current, item.forked = heads[0], len(heads) > 1
	switch {
	case c.Indexer == nil || item.current == was && len(item.versions) > 1:
	case item.version().Deleted:
		c.Indexer.Remove(v.Type, v.ID)
	case item.current == len(item.versions)-1:
		c.Indexer.Put(item.version(), r)
	default:
		if again, err := item.version().check(); err == nil {
			c.Indexer.Put(item.version(), again)
		}
	}
}

// heads are the versions over which nothing was written, the one to be read
// first. A cycle of parents, which no writer can make (a versionId is a hash
// over its parents), would leave none: then all are heads.
func (i *chartItem) heads() (heads []int) {
	covered := map[string]bool{}
	for _, v := range i.versions {
		for _, parent := range v.Parents {
			covered[parent] = true
		}
	}
	for n, v := range i.versions {
		if !covered[v.VersionID] {
			heads = append(heads, n)
		}
	}
	if heads == nil {
		for n := range i.versions {
			heads = append(heads, n)
		}
	}
	slices.SortFunc(heads, func(a, b int) int {
		x, y := i.versions[a], i.versions[b]
		return cmp.Or(strings.Compare(x.Rank, y.Rank), strings.Compare(x.VersionID, y.VersionID))
	})
	return heads
}

func (i *chartItem) version() *Version { return i.versions[i.current] }

// arrange puts the resources of these versions into their places; the others
// stand in theirs already, so that a chart which grows by a few costs little.
func (c *Chart) arrange(versions []Version) {
	touched := make(map[*chartItem]bool, len(versions))
	for i := range versions {
		touched[c.items[chartKey{versions[i].Type, versions[i].ID}]] = true
	}
	sorted := make([]*chartItem, 0, len(c.sorted)+len(touched))
	for _, item := range c.sorted {
		if !touched[item] {
			sorted = append(sorted, item)
		}
	}
	rest := len(sorted)
	for item := range touched {
		if !item.version().Deleted {
			sorted = append(sorted, item)
		}
	}
	slices.SortFunc(sorted[rest:], inOrder)
	if rest > 0 && rest < len(sorted) { // what is new is mostly newest: then nothing before it moves
		from, _ := slices.BinarySearchFunc(sorted[:rest], sorted[rest], inOrder)
		if from < rest {
			slices.SortFunc(sorted[from:], inOrder)
		}
	}
	c.sorted = sorted
}

func inOrder(a, b *chartItem) int {
	x, y := a.version(), b.version()
	return cmp.Or(x.LastUpdated.Compare(y.LastUpdated), strings.Compare(x.Type, y.Type), strings.Compare(x.ID, y.ID))
}

// Len is the number of resources that are not deleted.
func (c *Chart) Len() int { return len(c.sorted) }

// All are the resources that are not deleted, by lastUpdated, type and id.
func (c *Chart) All() iter.Seq[Version] {
	return func(yield func(Version) bool) {
		for _, item := range c.sorted {
			if !yield(*item.version()) {
				return
			}
		}
	}
}

// Current is the version to be read of a resource, and whether others stand
// beside it as heads of a fork. A deleted resource answers its deletion.
func (c *Chart) Current(name, id string) (v Version, forked, ok bool) {
	item := c.items[chartKey{name, id}]
	if item == nil {
		return Version{}, false, false
	}
	return *item.version(), item.forked, true
}

// Heads are the versions over which nothing was written, the one Current
// reads first: an update must name them all as parents.
func (c *Chart) Heads(name, id string) (heads []Version) {
	item := c.items[chartKey{name, id}]
	if item == nil {
		return nil
	}
	for _, n := range item.heads() {
		heads = append(heads, *item.versions[n])
	}
	return heads
}

// Version is one version of a resource.
func (c *Chart) Version(name, id, versionID string) (Version, bool) {
	if item := c.items[chartKey{name, id}]; item != nil {
		for _, v := range item.versions {
			if v.VersionID == versionID {
				return *v, true
			}
		}
	}
	return Version{}, false
}

// History are all versions of a resource, the newest first: a version stands
// before those it was written over, whatever the clocks said.
func (c *Chart) History(name, id string) []Version {
	item := c.items[chartKey{name, id}]
	if item == nil {
		return nil
	}
	depth := item.depths()
	out := make([]Version, len(item.versions))
	for n, v := range item.versions {
		out[n] = *v
	}
	slices.SortFunc(out, func(a, b Version) int {
		return cmp.Or(depth[b.VersionID]-depth[a.VersionID], b.LastUpdated.Compare(a.LastUpdated), strings.Compare(a.VersionID, b.VersionID))
	})
	return out
}

// depths is how many versions lie below each one. It settles in as many
// rounds as the longest line of parents; a cycle stops at the number of
// versions.
func (i *chartItem) depths() map[string]int {
	depth := make(map[string]int, len(i.versions))
	for _, v := range i.versions {
		depth[v.VersionID] = 1
	}
	for range i.versions {
		changed := false
		for _, v := range i.versions {
			for _, parent := range v.Parents {
				if d := depth[parent] + 1; depth[parent] > 0 && d > depth[v.VersionID] {
					depth[v.VersionID], changed = d, true
				}
			}
		}
		if !changed {
			break
		}
	}
	return depth
}
