package path

import "slices"

// loopFunctions evaluate an argument for each item, with $this and $index.
func loopFunctions() map[string]function {
	return map[string]function{
		"where":     {1, 1, where},
		"select":    {1, 1, selected},
		"exists":    {0, 1, exists},
		"all":       {1, 1, all},
		"repeat":    {1, 1, repeat(true)},
		"repeatAll": {1, 1, repeat(false)},
		"aggregate": {1, 2, aggregate},
		"iif":       {2, 3, iif},
		"trace":     {1, 2, trace},
		"sort":      {0, argumentsMax, sortItems},
	}
}

func (at frame) item(it Item, i int) frame {
	at.this, at.index = Collection{it}, i
	return at
}

// test evaluates a criterion.
func (r *run) test(f form, at frame) (bool, error) {
	c, err := r.eval(f, at)
	if err != nil {
		return false, err
	}
	b, known, err := truth(c)
	if err != nil {
		return false, err
	}
	return b && known, nil
}

func where(r *run, at frame, in Collection, args []form) (out Collection, err error) {
	for i, it := range in {
		holds, err := r.test(args[0], at.item(it, i))
		if err != nil {
			return nil, err
		}
		if holds {
			out = append(out, it)
		}
	}
	return out, nil
}

func exists(r *run, at frame, in Collection, args []form) (Collection, error) {
	if len(args) == 0 {
		return boolean(len(in) > 0), nil
	}
	for i, it := range in {
		if holds, err := r.test(args[0], at.item(it, i)); holds || err != nil {
			return boolean(true), err
		}
	}
	return boolean(false), nil
}

func all(r *run, at frame, in Collection, args []form) (Collection, error) {
	for i, it := range in {
		if holds, err := r.test(args[0], at.item(it, i)); !holds || err != nil {
			return boolean(false), err
		}
	}
	return boolean(true), nil
}

func selected(r *run, at frame, in Collection, args []form) (out Collection, err error) {
	for i, it := range in {
		c, err := r.eval(args[0], at.item(it, i))
		if err != nil {
			return nil, err
		}
		out = append(out, c...)
		if err := r.step(len(c)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// repeat collects what its argument gives of each item, then of that, until
// nothing new comes. The budget ends what would not end.
func repeat(distinct bool) func(*run, frame, Collection, []form) (Collection, error) {
	return func(r *run, at frame, in Collection, args []form) (out Collection, err error) {
		for len(in) > 0 {
			found, err := selected(r, at, in, args)
			if err != nil {
				return nil, err
			}
			in = nil
			for _, it := range found {
				if distinct {
					has, err := r.has(out, it)
					if err != nil {
						return nil, err
					}
					if has {
						continue
					}
				}
				if err := r.step(1); err != nil {
					return nil, err
				}
				in, out = append(in, it), append(out, it)
			}
		}
		return out, nil
	}
}

func aggregate(r *run, at frame, in Collection, args []form) (Collection, error) {
	var total Collection
	var err error
	if len(args) == 2 {
		if total, err = r.eval(args[1], at); err != nil {
			return nil, err
		}
	}
	for i, it := range in {
		turn := at.item(it, i)
		turn.total = total
		if total, err = r.eval(args[0], turn); err != nil {
			return nil, err
		}
	}
	return total, nil
}

func iif(r *run, at frame, in Collection, args []form) (Collection, error) {
	if len(in) > 1 {
		return nil, fault("several items where one belongs")
	}
	turn := at
	if len(in) == 1 {
		turn.this = in
	} else {
		turn.this = nil
	}
	c, err := r.eval(args[0], turn)
	if err != nil {
		return nil, err
	}
	if len(c) == 1 {
		if _, ok := c[0].Bool(); !ok {
			return nil, fault("no truth value where one belongs")
		}
	}
	holds, known, err := truth(c)
	switch {
	case err != nil:
		return nil, err
	case holds && known:
		return r.eval(args[1], turn)
	case len(args) == 3:
		return r.eval(args[2], turn)
	}
	return nil, nil
}

// trace writes nothing: what it would show are patient facts.
func trace(r *run, at frame, in Collection, args []form) (Collection, error) {
	for _, arg := range args {
		turn := at
		turn.this = in
		if _, err := r.eval(arg, turn); err != nil {
			return nil, err
		}
	}
	return in, nil
}

// sortItems orders by its arguments in turn, or by the items themselves.
func sortItems(r *run, at frame, in Collection, args []form) (Collection, error) {
	keys := make([][]Collection, len(in))
	order := make([]int, len(in))
	for i, it := range in {
		order[i] = i
		for _, arg := range args {
			if s, ok := arg.(*signForm); ok && s.minus {
				arg = s.of
			}
			c, err := r.eval(arg, at.item(it, i))
			if err != nil {
				return nil, err
			}
			keys[i] = append(keys[i], c)
		}
		if len(args) == 0 {
			keys[i] = []Collection{{it}}
		}
	}
	var failed error
	slices.SortStableFunc(order, func(a, b int) int {
		cmp, err := r.sortOrder(keys[a], keys[b], args)
		if err != nil {
			failed = err
		}
		return cmp
	})
	out := make(Collection, len(in))
	for i, from := range order {
		out[i] = in[from]
	}
	return out, failed
}

// sortOrder compares two items by their keys; nothing sorts before something.
func (r *run) sortOrder(a, b []Collection, args []form) (int, error) {
	if err := r.step(1); err != nil {
		return 0, err
	}
	for i := range a {
		cmp := 0
		if len(a[i]) == 0 || len(b[i]) == 0 {
			cmp = len(a[i]) - len(b[i])
		} else {
			var err error
			if cmp, _, err = order(a[i][0], b[i][0]); err != nil {
				return 0, err
			}
		}
		if i < len(args) {
			if s, ok := args[i].(*signForm); ok && s.minus {
				cmp = -cmp
			}
		}
		if cmp != 0 {
			return cmp, nil
		}
	}
	return 0, nil
}
