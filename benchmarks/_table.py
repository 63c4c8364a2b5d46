"""x"""
def show(records):
    for name in records.names():
        for s in records.subjects(name):
            print(f"{name:40}{s:22}", *[f"{m}={v:.1f}" for m in ("cpu","wall","kib") if (v:=records.median(name,s,m)) is not None])
