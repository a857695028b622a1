package path

// form is one form of expression. The tree of forms is immutable.
type form interface {
	eval(r *run, at frame) (Collection, error)
}

type (
	literal   struct{ value Collection }
	thisForm  struct{}
	indexForm struct{}
	totalForm struct{}
	varForm   struct{ name string }

	// memberForm is target.name; without a target it starts at the focus.
	memberForm struct {
		target form
		name   string
	}
	// callForm is target.name(args).
	callForm struct {
		target form
		name   string
		fn     function
		args   []form
	}
	subscriptForm struct{ target, index form }
	signForm      struct {
		minus bool
		of    form
	}
	// binaryForm is a operator b.
	binaryForm struct {
		op   string
		a, b form
	}
	// typeForm is of is T, of as T.
	typeForm struct {
		of   form
		as   bool
		name typeName
	}
)

// typeName is a type specifier: FHIR.Patient, System.String or a bare name.
type typeName struct{ space, name string }
