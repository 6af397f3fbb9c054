//! Checks that modules of a crate do not depend on each other in a cycle.
//!
//! A module depends on another if its code uses an item that the other defines. A name imported through a re-export,
//! in the crate root or elsewhere, counts for the module that defines it. Exceptions:
//! - `mod child;`, and re-exports of items in submodules
//! - types and traits defined in the crate root, which all modules may use
//! - methods, because `impl Garage` may be spread over modules
//! - test code, and links in comments

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use anyhow::{Context, bail};

use super::{
    Texts,
    source::{self, Module},
};

const CRATES: &[&str] = &[
    "src-tauri/core",
    "crates/decode",
    "crates/domain",
    "crates/faulty-disk",
    "crates/files",
    "crates/protocol",
    "crates/sqlite",
    "crates/testkit",
    "server",
];

const REASON: &str = "move shared code to a module that both can use";

pub(super) fn check(texts: &Texts) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    for folder in CRATES {
        let circles = Crate::read(texts, &format!("{folder}/src"))?.circles();
        problems.extend(circles.into_iter().map(|circle| format!("cyclic modules: {circle}; {REASON}")));
    }
    Ok(problems)
}

/// A module, by its index in `Crate::modules`.
type Id = usize;

/// The modules of a crate; the root is the first.
#[derive(Default)]
struct Crate {
    modules: Vec<Node>,
}

struct Node {
    /// For example `store/history`.
    path: String,
    file: String,
    parent: Id,
    children: BTreeMap<String, Id>,
    code: Module,
}

enum Found {
    Module(Id),
    Item(Id, String),
    Foreign,
}

/// Lookups in progress, so that cyclic imports terminate.
type InProgress = BTreeSet<(Id, String)>;

impl Crate {
    fn read(texts: &Texts, folder: &str) -> anyhow::Result<Crate> {
        let mut read = Crate::default();
        read.add_file(texts, &format!("{folder}/lib.rs"), folder, String::new(), 0)?;
        Ok(read)
    }

    fn add_file(&mut self, texts: &Texts, file: &str, folder: &str, path: String, parent: Id) -> anyhow::Result<Id> {
        let text = texts.get(file).with_context(|| format!("{file} is missing"))?;
        let code = source::read(text).with_context(|| format!("cannot parse {file}"))?.module;
        self.add(texts, code, file, folder, path, parent)
    }

    /// Adds a module and its submodules, whose files are in `folder`.
    fn add(
        &mut self,
        texts: &Texts,
        mut code: Module,
        file: &str,
        folder: &str,
        path: String,
        parent: Id,
    ) -> anyhow::Result<Id> {
        let (inline, files) = (std::mem::take(&mut code.inline), std::mem::take(&mut code.files));
        let id = self.modules.len();
        let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
        self.modules.push(Node { path: path.clone(), file: file.to_owned(), parent, children: BTreeMap::new(), code });
        for module in inline {
            let (name, folder) = (module.name.clone(), format!("{folder}/{}", module.name));
            let child = self.add(texts, module, file, &folder, below(&name), id)?;
            self.modules[id].children.insert(name, child);
        }
        for name in files {
            let folder = format!("{folder}/{name}");
            let candidates = [format!("{folder}.rs"), format!("{folder}/mod.rs")];
            let Some(child_file) = candidates.iter().find(|it| texts.contains_key(*it)) else {
                bail!("{file} declares the module {name}, but there is no {}", candidates.join(" or "));
            };
            let child = self.add_file(texts, child_file, &folder, below(&name), id)?;
            self.modules[id].children.insert(name, child);
        }
        Ok(id)
    }

    /// Resolves a path in a module. Returns nothing if the first name is local or belongs to another crate.
    fn resolve(&self, module: Id, path: &[String], seen: &mut InProgress) -> Option<Found> {
        let (first, mut rest) = path.split_first()?;
        let mut found = match first.as_str() {
            "crate" => Found::Module(0),
            "self" => Found::Module(module),
            "super" => Found::Module(self.modules[module].parent),
            name => self.lookup(module, name, seen)?,
        };
        while let (Found::Module(current), Some((name, after))) = (&found, rest.split_first()) {
            found = match name.as_str() {
                "super" => Found::Module(self.modules[*current].parent),
                // A name without a definition comes from a macro in that module.
                name => self.lookup(*current, name, seen).unwrap_or_else(|| Found::Item(*current, name.to_owned())),
            };
            rest = after;
        }
        Some(found)
    }

    fn lookup(&self, module: Id, name: &str, seen: &mut InProgress) -> Option<Found> {
        if !seen.insert((module, name.to_owned())) {
            return None;
        }
        let Node { children, code, .. } = &self.modules[module];
        if let Some(child) = children.get(name) {
            return Some(Found::Module(*child));
        }
        if code.types.iter().chain(&code.values).any(|item| item == name) {
            return Some(Found::Item(module, name.to_owned()));
        }
        let mut imports = code.uses.iter().filter(|import| import.name.as_deref() == Some(name)).peekable();
        if imports.peek().is_some() {
            return Some(imports.find_map(|import| self.resolve(module, &import.path, seen)).unwrap_or(Found::Foreign));
        }
        let globs = code.uses.iter().filter(|import| import.name.is_none());
        globs.into_iter().find_map(|glob| match self.resolve(module, &glob.path, seen)? {
            Found::Module(other) => self.lookup(other, name, seen),
            _ => None,
        })
    }

    fn is_below(&self, mut module: Id, above: Id) -> bool {
        while module != 0 && module != above {
            module = self.modules[module].parent;
        }
        module == above
    }

    /// Returns the dependencies between modules, each with the line of the first use.
    fn dependencies(&self) -> BTreeMap<(Id, Id), usize> {
        let mut dependencies = BTreeMap::new();
        for (module, Node { code, .. }) in self.modules.iter().enumerate() {
            let imports = code.uses.iter().map(|import| (&import.path, import.line, import.is_reexport));
            let paths = code.paths.iter().map(|path| (&path.segments, path.line, false));
            for (path, line, is_reexport) in imports.chain(paths) {
                let Some(Found::Item(target, name)) = self.resolve(module, path, &mut InProgress::new()) else {
                    continue;
                };
                let is_word_of_crate = target == 0 && !self.modules[0].code.values.contains(&name);
                let is_own_reexport = is_reexport && self.is_below(target, module);
                if target != module && !is_word_of_crate && !is_own_reexport {
                    let first = dependencies.entry((module, target)).or_insert(line);
                    *first = line.min(*first);
                }
            }
        }
        dependencies
    }

    /// Returns the shortest cycle for each dependency that is part of one.
    fn circles(&self) -> BTreeSet<String> {
        let dependencies = self.dependencies();
        let circles = dependencies.keys().filter_map(|&(from, to)| {
            let mut circle = shortest_path(&dependencies, to, from)?;
            // Rotate cycles to start at the same module, to remove duplicates.
            let first = (0..circle.len()).min_by_key(|&at| &self.modules[circle[at]].path)?;
            circle.rotate_left(first);
            circle.push(circle[0]);
            Some(circle)
        });
        circles.map(|circle| self.describe(&circle, &dependencies)).collect()
    }

    /// Formats a cycle as `a -> b -> a: src/a.rs:12, src/b.rs:5`.
    fn describe(&self, circle: &[Id], dependencies: &BTreeMap<(Id, Id), usize>) -> String {
        let name = |module: &Id| match self.modules[*module].path.as_str() {
            "" => "lib",
            path => path,
        };
        let names: Vec<&str> = circle.iter().map(name).collect();
        let places = circle.windows(2).filter_map(|pair| {
            let line = dependencies.get(&(pair[0], pair[1]))?;
            Some(format!("{}:{line}", self.modules[pair[0]].file))
        });
        format!("{}: {}", names.join(" -> "), places.collect::<Vec<_>>().join(", "))
    }
}

/// Returns the modules on the path from one to another, both included.
fn shortest_path(dependencies: &BTreeMap<(Id, Id), usize>, from: Id, to: Id) -> Option<Vec<Id>> {
    let mut reached_from = BTreeMap::new();
    let mut waiting = VecDeque::from([from]);
    while let Some(module) = waiting.pop_front() {
        if module == to {
            let mut path = vec![to];
            while let Some(before) = path.last().filter(|last| **last != from).and_then(|last| reached_from.get(last)) {
                path.push(*before);
            }
            path.reverse();
            return Some(path);
        }
        for (_, next) in dependencies.range((module, 0)..=(module, Id::MAX)).map(|(pair, _)| *pair) {
            if next != from && !reached_from.contains_key(&next) {
                reached_from.insert(next, module);
                waiting.push_back(next);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circles(files: &[(&str, &str)]) -> Vec<String> {
        let texts = files.iter().map(|(file, text)| (format!("src/{file}"), (*text).to_owned())).collect();
        Crate::read(&texts, "src").expect("a crate").circles().into_iter().collect()
    }

    /// Returns the cycles of a crate with the modules `a` and `b`, of which `b` uses `a`.
    fn circles_if_a_has(code: &str) -> Vec<String> {
        let root = "mod a; mod b; pub use b::{Thing, thing as renamed}; pub struct Garage;";
        let b =
            "use crate::a::helper;\npub struct Thing;\npub fn thing() { helper() }\npub mod inner { pub fn deep() {} }";
        circles(&[("lib.rs", root), ("a.rs", &format!("pub fn helper() {{}}\n{code}")), ("b.rs", b)])
    }

    #[test]
    fn cycles_through_imports_and_paths_are_found() {
        for code in [
            "use crate::b::Thing;",
            "use crate::{b::{self, Thing as Other}, Garage};",
            "use super::b::thing;",
            "use crate::Thing;",
            "use crate::renamed;",
            "fn f() { crate::b::thing() }",
            "use crate::b; fn f() { b::thing() }",
            "use crate::b as table; fn f() { table::thing() }",
            "use super::*; fn f(_: Thing) {}",
            "fn f() { use crate::b::thing; }",
            "fn f() { assert!(matches!(1, crate::b::Thing::ONE)) }",
            "#[derive(crate::b::Thing)] struct Own;",
            "impl crate::Garage { fn f(&self) -> Vec<crate::b::Thing> { self.all() } }",
            "pub use crate::b::Thing;",
        ] {
            assert_eq!(circles_if_a_has(code), ["a -> b -> a: src/a.rs:2, src/b.rs:1"], "{code}");
        }
    }

    #[test]
    fn exceptions_are_not_cycles() {
        for code in [
            "/// See [`crate::b::Thing`].\nfn f() {}",
            "#[cfg(test)] mod tests { use crate::b::Thing; }",
            "#[cfg(all(test, unix))] use crate::b::Thing;",
            "#[cfg(test)] fn f() { crate::b::thing() }",
            "fn f() { #[cfg(test)] let x = crate::b::thing(); }",
            "use crate::Garage; impl Garage { fn f(&self) { self.thing() } }",
            "use b::Thing; use ::b::thing;",
            "use crate::b::inner::deep;",
            "pub(in crate::b) fn f() { let b = 1; b }",
            "const TEXT: &str = \"crate::b::thing()\";",
        ] {
            assert!(circles_if_a_has(code).is_empty(), "{code}");
        }
    }

    #[test]
    fn parent_and_child_that_use_each_other_are_a_cycle() {
        let parent = |parent: &str, child: &str| {
            circles(&[("lib.rs", "mod a;"), ("a/mod.rs", &format!("mod child;\n{parent}")), ("a/child.rs", child)])
        };
        let child = "use super::own; pub fn f() { own() } pub struct Thing;";
        assert_eq!(parent("fn own() { child::f() }", child), ["a -> a/child -> a: src/a/mod.rs:2, src/a/child.rs:1"]);
        assert_eq!(parent("fn own(_: Thing) {} pub use child::Thing;", child).len(), 1);
        assert!(parent("fn own() {} pub use child::f; pub(crate) use self::child::Thing;", child).is_empty());
        assert!(parent("use child::f; use std::time::Duration;", "use super::Duration; pub fn f() {}").is_empty());
    }

    #[test]
    fn only_types_of_the_root_may_be_used_by_modules() {
        let root = |code: &str| {
            let root = "mod a;\nuse a::own;\npub struct Garage;\npub const LIMIT: u32 = own();";
            circles(&[("lib.rs", root), ("a.rs", code)])
        };
        assert!(root("use crate::Garage; pub fn own() { Garage::open() }").is_empty());
        assert_eq!(root("pub fn own() { crate::LIMIT }"), ["lib -> a -> lib: src/lib.rs:2, src/a.rs:1"]);
    }

    #[test]
    fn longer_cycles_and_inline_modules_are_found() {
        let files = [
            ("lib.rs", "mod a; mod b; mod c { pub mod d; pub mod e { use crate::a::f as g; pub fn h() { g() } } }"),
            ("a.rs", "pub fn f() { crate::b::f() }"),
            ("b.rs", "use crate::c::d;\n\npub fn f() { d::f() }"),
            ("c/d.rs", "pub fn f() {\n    super::e::h()\n}"),
        ];
        let places = "src/a.rs:1, src/b.rs:3, src/c/d.rs:2, src/lib.rs:1";
        assert_eq!(circles(&files), [format!("a -> b -> c/d -> c/e -> a: {places}")]);
    }

    #[test]
    fn cyclic_imports_terminate() {
        let files =
            [("lib.rs", "mod a; mod b;"), ("a.rs", "pub use crate::b::*;"), ("b.rs", "pub use crate::a::*; use x::x;")];
        assert!(circles(&files).is_empty());
    }

    #[test]
    fn missing_module_is_an_error() {
        let texts = BTreeMap::from([("src/lib.rs".to_owned(), "mod a;".to_owned())]);
        assert!(Crate::read(&texts, "src").is_err());
    }
}
