package control

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"
)

const serviceInterface = "org.varlink.service"

// serviceDescription is the interface that every varlink service has, word for
// word as varlink.org gives it.
const serviceDescription = `# The Varlink Service Interface is provided by every varlink service. It
# describes the service and the interfaces it implements.
interface org.varlink.service

# Get a list of all the interfaces a service provides and information
# about the implementation.
method GetInfo() -> (
  vendor: string,
  product: string,
  version: string,
  url: string,
  interfaces: []string
)

# Get the description of an interface that is implemented by this service.
method GetInterfaceDescription(interface: string) -> (description: string)

# The requested interface was not found.
error InterfaceNotFound (interface: string)

# The requested method was not found
error MethodNotFound (method: string)

# The interface defines the requested method, but the service does not
# implement it.
error MethodNotImplemented (method: string)

# One of the passed parameters is invalid.
error InvalidParameter (parameter: string)

# Client is denied access
error PermissionDenied ()

# Method is expected to be called with 'more' set to true, but wasn't
error ExpectedMore ()
`

// info is the answer of org.varlink.service.GetInfo.
func (s *Server) info() response {
	return response{Parameters: map[string]any{
		"vendor": "hotsvc", "product": "hotsvc", "version": s.Version, "url": "",
		"interfaces": []string{serviceInterface, Interface},
	}}
}

// describe is the answer of org.varlink.service.GetInterfaceDescription.
func (s *Server) describe(parameters json.RawMessage) response {
	var p struct {
		Interface string `json:"interface"`
	}
	if json.Unmarshal(parameters, &p) != nil {
		return invalidParameter("interface")
	}
	switch p.Interface {
	case Interface:
		return response{Parameters: map[string]any{"description": Description()}}
	case serviceInterface:
		return response{Parameters: map[string]any{"description": serviceDescription}}
	}
	return response{Error: serviceInterface + ".InterfaceNotFound", Parameters: map[string]any{"interface": p.Interface}}
}

// exact says more of a field than its Go type does: the closed sets among the
// texts (an enum of varlink's is a text on the wire), and what may be null.
var exact = map[string]string{
	"Service.type":       "(daemon, oneshot)",
	"Service.state":      "(down, waiting, starting, up, stopping, backoff, failed, stuck)",
	"Service.want":       "(up, keep, down)",
	"Blocked.kind":       "(stop, block, once, suspend, masked)",
	"Waiting.kind":       "(gate, needs, after, damping, settle, backoff, udev, blocked)",
	"SourceStatus.state": "(starting, synced, resyncing, failed, absent)",
	"Params.for":         "(up, down)",
	"Params.kind":        "(device, link, mount, clock)",
	"Object.words":       "[string]?[]string", // null: not known yet
}

// Description is the interface as varlink describes it, made from the table.
func Description() string {
	var b strings.Builder
	b.WriteString("# Services kept true to the hardware.\ninterface " + Interface + "\n")
	d := describer{known: map[reflect.Type]bool{}}
	for i := range Operations {
		d.name(reflect.TypeOf(Operations[i].Gives))
	}
	for _, t := range d.types {
		fmt.Fprintf(&b, "\ntype %s (%s)\n", t.Name(), d.fields(t))
	}
	for i := range Operations {
		o := &Operations[i]
		fmt.Fprintf(&b, "\n# %s\n# For %s.", o.Text, o.Access)
		if o.Waits {
			b.WriteString(" Waits, a minute unless told.")
		}
		if o.Streams {
			b.WriteString(" Must be called with more.")
		}
		fmt.Fprintf(&b, "\nmethod %s(%s) -> (%s: %s)\n",
			o.Method, strings.Join(o.signature(&d), ", "), o.Field, d.name(reflect.TypeOf(o.Gives)))
	}
	for _, f := range failures {
		fmt.Fprintf(&b, "\n# %s hsctl exits with %d.\nerror %s (text: string, about: ?object)\n", f.Text, f.Code, f.Name)
	}
	return b.String()
}

// signature lists an operation's parameters as varlink writes them.
func (o *Operation) signature(d *describer) []string {
	var out []string
	switch o.Names {
	case OneName, AllNames:
		out = append(out, "services: []string")
	case Patterns:
		out = append(out, "services: ?[]string")
	}
	for _, name := range o.parameters() {
		f := paramField(name)
		typ := exact["Params."+name]
		if typ == "" {
			typ = strings.TrimPrefix(d.name(f.Type), "?")
		}
		out = append(out, name+": ?"+typ)
	}
	return out
}

// describer collects the named types that others mention.
type describer struct {
	known map[reflect.Type]bool
	types []reflect.Type
}

// name is a Go type as varlink writes it.
func (d *describer) name(t reflect.Type) string {
	if t == reflect.TypeFor[time.Time]() {
		return "string"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return "?" + d.name(t.Elem())
	case reflect.Slice:
		return "[]" + d.name(t.Elem())
	case reflect.Map:
		return "[string]" + d.name(t.Elem())
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "bool"
	case reflect.Struct:
		if !d.known[t] {
			d.known[t] = true
			for i := range t.NumField() {
				d.name(t.Field(i).Type)
			}
			d.types = append(d.types, t) // after those that it mentions
		}
		return t.Name()
	}
	return "int"
}

// fields lists the fields of a struct as varlink writes them, one a line.
func (d *describer) fields(t reflect.Type) string {
	var lines []string
	for i := range t.NumField() {
		f := t.Field(i)
		name := wireName(f)
		typ := exact[t.Name()+"."+name]
		if typ == "" {
			typ = d.name(f.Type)
		}
		if strings.HasSuffix(f.Tag.Get("json"), ",omitempty") && typ[0] != '?' {
			typ = "?" + typ
		}
		lines = append(lines, "  "+name+": "+typ)
	}
	return "\n" + strings.Join(lines, ",\n") + "\n"
}

// wireName is a field's name in JSON.
func wireName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}
