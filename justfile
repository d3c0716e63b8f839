# The verbs of the Makefile, for those who prefer just.

[private]
default:
    @make help

setup *args:
    @make setup {{args}}

build-rust *args:
    @make build-rust {{args}}

demo *args:
    @make demo {{args}}

demo-s3 *args:
    @make demo-s3 {{args}}

# just run scan src --count
run *args:
    @make run ARGS='{{args}}'

servers *args:
    @make servers {{args}}

test *args:
    @make test {{args}}

sweep *args:
    @make sweep {{args}}

chaos *args:
    @make chaos {{args}}

scale *args:
    @make scale {{args}}

fuzz *args:
    @make fuzz {{args}}

lint *args:
    @make lint {{args}}

bench *args:
    @make bench {{args}}

docs *args:
    @make docs {{args}}

image *args:
    @make image {{args}}

clean:
    @make clean
