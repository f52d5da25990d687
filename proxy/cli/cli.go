// Package cli is the command line: it reads the arguments, puts the parts
// together and runs them.
//
//	os.Exit(cli.Run(os.Args[1:], os.Stdout, os.Stderr))
package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"slices"
	"strings"
)

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
	// exitGate is for audit --fail-on: the page has what it must not have.
	exitGate = 3
)

const usage = `askfirst is a consent proxy: it stands in front of a website and lets no
tracker through until the visitor has said yes.

Usage:
  askfirst demo                        a demo site full of trackers, with askfirst in front
  askfirst serve --upstream URL        front the site at URL
  askfirst serve --config FILE         front what the file says
  askfirst check --config FILE         find every mistake in a configuration
  askfirst audit URL|FILE...           list every tag of a page: vendor, category, fate
  askfirst explain URL|cookie:NAME     say which rule decides, and why
  askfirst lists update --config FILE  fetch the lists of trackers that have a url
  askfirst receipts verify|find|export|erase
                                       prove, look up and erase records of choices
  askfirst receipts requests|request|answer|log
                                       what visitors asked for and by when, who did what
  askfirst store prune                 take out what is older than it is kept
  askfirst store copy --from --to      move the records between a folder and a database
  askfirst report --month YYYY-MM      a month as one HTML file, to be filed
  askfirst token                       make a token to sign in to the admin pages with
  askfirst health                      ask a running askfirst whether it is ready
  askfirst version

askfirst COMMAND -h tells the options of a command.
`

// command runs with the arguments after its name.
type command func(c *console, args []string) error

var commands = map[string]command{
	"demo":     runDemo,
	"serve":    runServe,
	"check":    runCheck,
	"audit":    runAudit,
	"explain":  runExplain,
	"lists":    runLists,
	"receipts": runReceipts,
	"store":    runStore,
	"report":   runReport,
	"token":    runToken,
	"health":   runHealth,
	"version":  runVersion,
}

// console is where a command writes.
type console struct {
	out, err io.Writer
}

// Run runs the command that args name and returns the exit code: 0, 1 for a
// failure, 2 for a mistake in arguments or configuration, 3 for what
// audit --fail-on finds.
func Run(args []string, out, err io.Writer) int {
	c := &console{out, err}
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		fmt.Fprint(out, usage)
		return exitOK
	}
	run, ok := commands[args[0]]
	if !ok {
		fmt.Fprintf(err, "askfirst: there is no command %q; askfirst help lists them\n", args[0])
		return exitUsage
	}
	return c.report(args[0], run(c, args[1:]))
}

// usageError is a mistake of whoever typed the command, one line each.
type usageError struct{ error }

func usageErrorf(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

var errGate = errors.New("found what --fail-on names")

func (c *console) report(name string, err error) int {
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.Is(err, errGate):
		return exitGate
	}
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(c.err, "askfirst %s: %s\n", name, strings.TrimRight(line, "\n"))
	}
	if errors.As(err, new(usageError)) {
		return exitUsage
	}
	return exitFailed
}

// flags returns a flag set that leaves the reporting of mistakes to Run; its
// name is how the command is called.
func (c *console) flags(synopsis string) *flag.FlagSet {
	f := flag.NewFlagSet(synopsis, flag.ContinueOnError)
	f.SetOutput(c.out)
	f.Usage = func() {}
	return f
}

// asksHelp reports whether args begin with -h.
func asksHelp(args []string) bool {
	return len(args) > 0 && slices.Contains([]string{"-h", "-help", "--help"}, args[0])
}

// parse reads args into f, options after operands too, and refuses more operands
// than most.
func parse(f *flag.FlagSet, args []string, most int) error {
	output := f.Output()
	f.SetOutput(io.Discard)
	operands := []string{"--"}
	err := f.Parse(args)
	for err == nil && f.NArg() > 0 {
		if rest := f.Args(); f.NArg() < len(args) && args[len(args)-f.NArg()-1] == "--" {
			operands, args = append(operands, rest...), nil
		} else {
			operands, args = append(operands, rest[0]), rest[1:]
		}
		err = f.Parse(args)
	}
	if err == nil {
		err = f.Parse(operands)
	}
	f.SetOutput(output)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(output, "Usage: askfirst %s\n\n", f.Name())
		f.PrintDefaults()
		return err
	}
	if err != nil {
		return usageError{err}
	}
	if f.NArg() > most {
		return usageErrorf("%q is one argument too many", f.Arg(most))
	}
	return nil
}

// logFormat adds --log to f; the returned function makes the logger.
func (c *console) logFormat(f *flag.FlagSet) func() (*slog.Logger, error) {
	format := f.String("log", "text", "form of the log lines on standard error: `text or json`")
	return func() (*slog.Logger, error) {
		switch *format {
		case "text":
			return slog.New(slog.NewTextHandler(c.err, nil)), nil
		case "json":
			return slog.New(slog.NewJSONHandler(c.err, nil)), nil
		}
		return nil, usageErrorf("--log is %q; it can be text or json", *format)
	}
}

func runVersion(c *console, args []string) error {
	if err := parse(c.flags("version"), args, 0); err != nil {
		return err
	}
	version, revision := "(devel)", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" {
			version = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = " " + s.Value
			}
		}
	}
	fmt.Fprintf(c.out, "askfirst %s%s\n", version, revision)
	return nil
}

// openInput opens a file named on the command line, "-" for standard input.
func openInput(name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(os.Stdin), nil
	}
	return os.Open(name)
}
