package fhir

import (
	"slices"
	"strings"
)

// An Operation is what one entry of a transaction or batch asks for, ready
// to be carried out.
type Operation struct {
	Entry       int    // index of the entry in the Bundle: where the answer goes
	Method      string // GET, POST, PUT, PATCH or DELETE
	Type        string
	ID          string // empty for a GET of anything but one resource, and for a DELETE by query that found nothing
	Existing    bool   // POST whose ifNoneExist found ID: nothing to write, answer 200
	Created     bool   // PUT by query that found nothing: ID was assigned
	URL         string // as written, for GET
	IfMatch     string
	IfNoneMatch string
	Bytes       []byte        // the resource with its references rewritten, else untouched
	Patch       *Patch        // of PATCH
	Err         *OutcomeError // of a batch: this entry is refused, the others are not
}

// Resolve turns a transaction or a batch into operations in the order in
// which R4 has them done: DELETE, POST, PUT, PATCH, GET (http.html#trules).
//
// assign answers the id of what an entry creates; it is called once for each
// created entry, in the order of the Bundle. conditional answers the id of
// the one resource that a query (Type and Query of the Ref) finds, "" if
// none; it returns an *OutcomeError of status 412 if there are several. In a
// transaction, references to the fullUrl of another entry become Type/id; in
// both, conditional references become what they find, an earlier ifNoneExist
// of the same text included, and are refused if that is nothing. An urn:uuid
// that no entry has stays as it is, and PlaceOf will refuse it where it
// matters.
//
// An error refuses the whole Bundle. In a batch, what is wrong with one entry
// alone stands in its operation's Err.
func Resolve(b *Bundle, assign func(*Entry) (string, error), conditional func(Ref) (string, error)) ([]Operation, error) {
	if b.Kind != "transaction" && b.Kind != "batch" {
		return nil, refuse(statusBadRequest, "invalid", "Bundle.type", "only a transaction or a batch can be carried out; change Bundle.type")
	}
	s := resolver{bundle: b, assign: assign, conditional: conditional,
		targets: map[string]string{}, queries: map[string]string{}, written: map[string]bool{},
		operations: make([]Operation, len(b.Entries))}
	for _, step := range []func(*Entry, *Operation) error{s.identify, s.rewrite} {
		for i := range b.Entries {
			if s.operations[i].Err != nil {
				continue
			}
			err := step(&b.Entries[i], &s.operations[i])
			if err == nil {
				continue
			}
			o := placed(err, &b.Entries[i])
			if b.Kind == "transaction" {
				return nil, o
			}
			s.operations[i].Err = o
		}
	}
	slices.SortStableFunc(s.operations, func(a, b Operation) int { return rank(a.Method) - rank(b.Method) })
	return s.operations, nil
}

// placed is the error as an outcome that names the entry.
func placed(err error, e *Entry) *OutcomeError {
	o := *AsOutcome(err)
	if o.Expression == "" {
		o.Expression = e.expression()
	}
	return &o
}

func rank(method string) int {
	return slices.Index([]string{"DELETE", "POST", "PUT", "PATCH", "GET"}, method)
}

type resolver struct {
	bundle      *Bundle
	assign      func(*Entry) (string, error)
	conditional func(Ref) (string, error)
	targets     map[string]string // fullUrl -> Type/id
	queries     map[string]string // Type?query -> id, "" if nothing is there
	written     map[string]bool   // Type/id this Bundle writes
	operations  []Operation
}

// identify settles what an entry is about and gives it its id.
func (s *resolver) identify(e *Entry, o *Operation) error {
	*o = Operation{Entry: e.Index, Method: e.Method, URL: e.URL, IfMatch: e.IfMatch, IfNoneMatch: e.IfNoneMatch}
	if rank(e.Method) < 0 {
		if e.Method == "" {
			return refuse(statusBadRequest, "required", "", "request.method is missing; every entry needs request.method and request.url")
		}
		return refuse(statusNotAllowed, "not-supported", "", "this method is not supported in a Bundle; use GET, POST, PUT, PATCH or DELETE")
	}
	path, query, _ := strings.Cut(e.URL, "?")
	name, id, _ := strings.Cut(path, "/")
	if e.Method == "GET" {
		return s.get(o, name, id)
	}
	if !IsType(name) || id != "" && !IsID(id) {
		return refuse(statusBadRequest, "value", "", "request.url must be Type for POST, and Type/id for PUT and DELETE, relative to the base")
	}
	o.Type, o.ID = name, id
	if err := s.matches(e, o, query); err != nil {
		return err
	}
	if err := s.settle(e, o, query); err != nil {
		return err
	}
	return s.claim(e, o)
}

func (s *resolver) get(o *Operation, name, id string) error {
	if o.URL == "" {
		return refuse(statusBadRequest, "required", "", "request.url is missing; every entry needs request.method and request.url")
	}
	if IsType(name) {
		o.Type = name
	}
	if IsID(id) {
		o.ID = id
	}
	return nil
}

// matches checks the entry's resource against its URL.
func (s *resolver) matches(e *Entry, o *Operation, query string) error {
	body := e.Resource.Type
	switch {
	case (o.Method == "DELETE" || o.Method == "PATCH") && (o.ID == "") == (query == ""):
		return refuse(statusBadRequest, "value", "", "request.url of a DELETE or a PATCH is Type/id or Type?query; correct it")
	case o.Method == "DELETE":
		return nil
	case o.Method == "PATCH":
		return o.takePatch(e)
	case body == "":
		return refuse(statusBadRequest, "required", "", "the entry has no resource; POST and PUT need one")
	case body != o.Type:
		return refuse(statusBadRequest, "invalid", "", "the resource's type is not that of request.url; make them the same")
	case o.Method == "POST" && (o.ID != "" || query != ""):
		return refuse(statusBadRequest, "value", "", "request.url of a POST is the type alone; use PUT to choose the id")
	case o.Method == "PUT" && (o.ID == "") == (query == ""):
		return refuse(statusBadRequest, "value", "", "request.url of a PUT is Type/id or Type?query; correct it")
	case o.Method == "PUT" && o.ID != "" && e.Resource.ID() != o.ID:
		return refuse(statusBadRequest, "invalid", "", "the resource's id is not that of request.url; make them the same")
	}
	return nil
}

// settle finds or makes the id of a write that does not name it.
func (s *resolver) settle(e *Entry, o *Operation, query string) error {
	if o.ID != "" {
		return nil
	}
	if o.Method == "POST" {
		query = strings.TrimPrefix(e.IfNoneExist, "?")
		query = strings.TrimPrefix(query, o.Type+"?")
	}
	if query != "" {
		id, err := s.find(Ref{Type: o.Type, Query: query})
		if err != nil {
			return err
		}
		if id != "" {
			o.ID, o.Existing = id, o.Method == "POST"
			return nil
		}
	}
	if o.Method == "DELETE" {
		return nil // deleted already
	}
	if o.Method == "PATCH" {
		return refuse(statusNotFound, "not-found", "", "the query finds nothing to patch; check it, or create the resource")
	}
	if brought := e.Resource.ID(); o.Method == "PUT" && brought != "" {
		o.ID, o.IfNoneMatch = brought, "*" // update as create, if the id is free
		s.queries[o.Type+"?"+query] = brought
		return nil
	}
	id, err := s.assign(e)
	if err != nil {
		return err
	}
	if !IsID(id) {
		panic("fhir: assign answered an id outside the grammar")
	}
	o.ID, o.Created = id, o.Method == "PUT"
	if query != "" {
		s.queries[o.Type+"?"+query] = id
	}
	return nil
}

// find asks for a query once.
func (s *resolver) find(r Ref) (string, error) {
	text := r.String()
	if id, ok := s.queries[text]; ok {
		return id, nil
	}
	id, err := s.conditional(r)
	if err != nil {
		return "", err
	}
	s.queries[text] = id
	return id, nil
}

// claim notes what the entry writes and under which fullUrl others name it.
func (s *resolver) claim(e *Entry, o *Operation) error {
	if o.ID == "" {
		return nil
	}
	target := o.Type + "/" + o.ID
	if !o.Existing {
		if s.written[target] && s.bundle.Kind == "transaction" {
			return refuse(statusBadRequest, "duplicate", "", "two entries write the same resource; keep one")
		}
		s.written[target] = true
	}
	if e.FullURL == "" || s.bundle.Kind == "batch" {
		return nil
	}
	if _, taken := s.targets[e.FullURL]; taken {
		return refuse(statusBadRequest, "duplicate", "", "two entries have the same fullUrl; give each its own")
	}
	s.targets[e.FullURL] = target
	return nil
}

// rewrite replaces the references of the entry's resource.
func (s *resolver) rewrite(e *Entry, o *Operation) error {
	if e.Resource.Type == "" || o.Method != "POST" && o.Method != "PUT" || o.Existing {
		return nil
	}
	base := ""
	if own, ok := ParseRef(e.FullURL); ok && own.Base != "" {
		base = own.Base + "/"
	}
	var failed error
	o.Bytes = e.Resource.Rewrite(func(ref string) (string, bool) {
		to, err := s.target(ref, base)
		if err != nil && failed == nil {
			failed = err
		}
		return to, to != ""
	})
	return failed
}

// target is what a reference becomes, "" if it stays.
func (s *resolver) target(ref, base string) (string, error) {
	if to, ok := s.targets[ref]; ok {
		return to, nil
	}
	r, ok := ParseRef(ref)
	switch {
	case !ok || r.URN != "":
		return "", nil
	case r.Query != "":
		id, err := s.find(r)
		if err == nil && id == "" {
			err = refuse(statusPrecondition, "not-found", "", "a conditional reference finds nothing; load what it refers to first, or refer to it by id")
		}
		if err != nil {
			return "", err
		}
		return r.Type + "/" + id, nil
	case r.Base != "":
		return s.targets[r.unversioned().String()], nil
	case base != "":
		return s.targets[base+r.unversioned().String()], nil
	}
	return "", nil
}
