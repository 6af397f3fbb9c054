//! Parses a Rust file for the checks: modules, imports, paths and string literals, without test code.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::{
    Attribute, Ident, Item, Lit, LitStr, Macro, Meta, Token, UseTree, Visibility,
    punctuated::Punctuated,
    spanned::Spanned,
    visit::{self, Visit},
};

/// The code of a file, without items compiled only for tests.
#[derive(Default)]
pub(super) struct Source {
    pub module: Module,
    /// String literals, including those in macros and excluding those in attributes.
    pub literals: Vec<Text>,
    /// The arguments of `include_str!` and `include_bytes!`.
    pub includes: Vec<Text>,
    /// The folder names and the module name of each `#[cfg(test)] mod name;`.
    pub test_files: Vec<Vec<String>>,
}

pub(super) struct Text {
    pub value: String,
    pub line: usize,
}

/// A module of a file, or an inline module.
#[derive(Default)]
pub(super) struct Module {
    pub name: String,
    pub types: Vec<String>,
    pub values: Vec<String>,
    pub uses: Vec<Use>,
    /// Paths in code, including those in macros.
    pub paths: Vec<CodePath>,
    pub inline: Vec<Module>,
    pub files: Vec<String>,
}

/// A name imported with `use`.
pub(super) struct Use {
    pub path: Vec<String>,
    /// The local name; `None` for `*`.
    pub name: Option<String>,
    pub is_reexport: bool,
    pub line: usize,
}

pub(super) struct CodePath {
    pub segments: Vec<String>,
    pub line: usize,
}

pub(super) fn read(text: &str) -> syn::Result<Source> {
    let file = syn::parse_file(text)?;
    let mut reader = Reader { modules: vec![Module::default()], ..Reader::default() };
    if !is_for_tests(&file.attrs) {
        reader.visit_file(&file);
    }
    Ok(Source { module: reader.modules.pop().unwrap_or_default(), ..reader.source })
}

#[derive(Default)]
struct Reader {
    source: Source,
    /// The path from the file's module to the current one.
    modules: Vec<Module>,
}

impl Reader {
    fn module(&mut self) -> &mut Module {
        let last = self.modules.len() - 1;
        &mut self.modules[last]
    }

    fn add_path(&mut self, segments: Vec<String>, line: usize) {
        self.module().paths.push(CodePath { segments, line });
    }

    fn read_use(&mut self, tree: &UseTree, prefix: &[String], is_reexport: bool) {
        let with = |ident: &Ident| {
            let own = (ident != "self").then(|| name_of(ident));
            prefix.iter().cloned().chain(own).collect::<Vec<_>>()
        };
        let (path, name) = match tree {
            UseTree::Path(tree) if prefix.is_empty() => {
                return self.read_use(&tree.tree, &[name_of(&tree.ident)], is_reexport);
            }
            UseTree::Path(tree) => return self.read_use(&tree.tree, &with(&tree.ident), is_reexport),
            UseTree::Group(group) => {
                return group.items.iter().for_each(|item| self.read_use(item, prefix, is_reexport));
            }
            UseTree::Name(tree) => {
                let path = with(&tree.ident);
                let name = path.last().cloned();
                (path, name)
            }
            UseTree::Rename(tree) => (with(&tree.ident), Some(name_of(&tree.rename))),
            UseTree::Glob(_) => (prefix.to_vec(), None),
        };
        let line = line_of(tree);
        self.module().uses.push(Use { path, name, is_reexport, line });
    }

    fn read_module(&mut self, item: &syn::ItemMod) {
        let name = name_of(&item.ident);
        let Some((_, items)) = &item.content else { return self.module().files.push(name) };
        self.modules.push(Module { name, ..Module::default() });
        items.iter().for_each(|item| self.visit_item(item));
        if let Some(module) = self.modules.pop() {
            self.module().inline.push(module);
        }
    }

    fn read_macro(&mut self, name: &str, tokens: TokenStream) {
        match name {
            "include_str" | "include_bytes" => {
                if let Ok(file) = syn::parse2::<LitStr>(tokens) {
                    self.source.includes.push(Text { value: file.value(), line: file.span().start().line });
                }
            }
            "concat" => {
                let line = tokens.span().start().line;
                let strings = tokens.into_iter().filter_map(|token| match token {
                    TokenTree::Literal(literal) => string_of(literal),
                    _ => None,
                });
                self.source.literals.push(Text { value: strings.collect(), line });
            }
            _ => self.read_tokens(tokens, true),
        }
    }

    /// Parses arguments of macros and attributes, which syn leaves as tokens.
    fn read_tokens(&mut self, tokens: TokenStream, with_literals: bool) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let is_punct = |at: Option<usize>, wanted: char| {
            let token = at.and_then(|at| tokens.get(at));
            matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
        };
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            match token {
                TokenTree::Ident(first) => {
                    let is_separate = |mark| is_punct(at.checked_sub(1), mark);
                    let is_field = is_separate('.') && !is_punct(at.checked_sub(2), '.');
                    let is_continued = is_separate(':') && is_punct(at.checked_sub(2), ':');
                    let mut segments = vec![name_of(first)];
                    while is_punct(Some(at + 1), ':')
                        && is_punct(Some(at + 2), ':')
                        && let Some(TokenTree::Ident(next)) = tokens.get(at + 3)
                    {
                        segments.push(name_of(next));
                        at += 3;
                    }
                    if let (true, Some(TokenTree::Group(group))) = (is_punct(Some(at + 1), '!'), tokens.get(at + 2)) {
                        let name = segments.last().cloned().unwrap_or_default();
                        self.read_macro(&name, group.stream());
                        at += 2;
                    }
                    if !is_field && !is_continued {
                        self.add_path(segments, first.span().start().line);
                    }
                }
                TokenTree::Group(group) => {
                    let is_attribute = group.delimiter() == Delimiter::Bracket && is_punct(at.checked_sub(1), '#');
                    self.read_tokens(group.stream(), with_literals && !is_attribute);
                }
                TokenTree::Literal(literal) if with_literals => {
                    let line = literal.span().start().line;
                    self.source.literals.extend(string_of(literal.clone()).map(|value| Text { value, line }));
                }
                _ => {}
            }
            at += 1;
        }
    }
}

/// Visits these nodes unless they are compiled only for tests.
macro_rules! skip_tests {
    ($($visit:ident: $node:ident),* $(,)?) => {
        $(fn $visit(&mut self, node: &'ast syn::$node) {
            if !is_for_tests(&node.attrs) {
                visit::$visit(self, node);
            }
        })*
    };
}

impl<'ast> Visit<'ast> for Reader {
    skip_tests! {
        visit_impl_item_const: ImplItemConst, visit_impl_item_fn: ImplItemFn, visit_impl_item_type: ImplItemType,
        visit_trait_item_const: TraitItemConst, visit_trait_item_fn: TraitItemFn, visit_local: Local,
        visit_stmt_macro: StmtMacro, visit_expr_block: ExprBlock, visit_field: Field, visit_variant: Variant,
        visit_arm: Arm, visit_field_value: FieldValue,
    }

    fn visit_item(&mut self, item: &'ast Item) {
        let (attributes, name) = described(item);
        if is_for_tests(attributes) {
            if let Item::Mod(item) = item {
                let folders = self.modules.iter().skip(1).map(|module| module.name.clone());
                self.source.test_files.push(folders.chain([name_of(&item.ident)]).collect());
            }
            return;
        }
        match name {
            Some((Kind::Type, name)) => self.module().types.push(name_of(name)),
            Some((Kind::Value, name)) => self.module().values.push(name_of(name)),
            None => {}
        }
        match item {
            Item::Mod(item) => self.read_module(item),
            Item::Use(item) if item.leading_colon.is_some() => {}
            Item::Use(item) => self.read_use(&item.tree, &[], !matches!(item.vis, Visibility::Inherited)),
            _ => visit::visit_item(self, item),
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let segments = path.segments.iter().map(|segment| name_of(&segment.ident)).collect();
            self.add_path(segments, line_of(path));
        }
        visit::visit_path(self, path);
    }

    fn visit_lit_str(&mut self, literal: &'ast LitStr) {
        self.source.literals.push(Text { value: literal.value(), line: literal.span().start().line });
    }

    fn visit_macro(&mut self, node: &'ast Macro) {
        self.visit_path(&node.path);
        let name = node.path.segments.last().map(|segment| name_of(&segment.ident)).unwrap_or_default();
        self.read_macro(&name, node.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.read_tokens(list.tokens.clone(), false);
        }
    }

    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}

enum Kind {
    Type,
    Value,
}

/// Returns an item's attributes, and what it defines.
fn described(item: &Item) -> (&[Attribute], Option<(Kind, &Ident)>) {
    match item {
        Item::Const(it) => (&it.attrs, Some((Kind::Value, &it.ident))),
        Item::Fn(it) => (&it.attrs, Some((Kind::Value, &it.sig.ident))),
        Item::Macro(it) => (&it.attrs, it.ident.as_ref().map(|ident| (Kind::Value, ident))),
        Item::Static(it) => (&it.attrs, Some((Kind::Value, &it.ident))),
        Item::Enum(it) => (&it.attrs, Some((Kind::Type, &it.ident))),
        Item::Struct(it) => (&it.attrs, Some((Kind::Type, &it.ident))),
        Item::Trait(it) => (&it.attrs, Some((Kind::Type, &it.ident))),
        Item::TraitAlias(it) => (&it.attrs, Some((Kind::Type, &it.ident))),
        Item::Type(it) => (&it.attrs, Some((Kind::Type, &it.ident))),
        Item::Union(it) => (&it.attrs, Some((Kind::Type, &it.ident))),
        Item::ExternCrate(it) => (&it.attrs, None),
        Item::ForeignMod(it) => (&it.attrs, None),
        Item::Impl(it) => (&it.attrs, None),
        Item::Mod(it) => (&it.attrs, None),
        Item::Use(it) => (&it.attrs, None),
        _ => (&[], None),
    }
}

/// Whether the attributes mark a test or code compiled only for tests.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let is_test = attribute.path().segments.last().is_some_and(|segment| segment.ident == "test");
        let is_cfg = attribute.path().is_ident("cfg");
        is_test || (is_cfg && attribute.parse_args().is_ok_and(|condition: Meta| requires_test(&condition)))
    })
}

fn requires_test(condition: &Meta) -> bool {
    match condition {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("all") => list
            .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
            .is_ok_and(|all| all.iter().any(requires_test)),
        _ => false,
    }
}

fn string_of(literal: proc_macro2::Literal) -> Option<String> {
    match Lit::new(literal) {
        Lit::Str(string) => Some(string.value()),
        _ => None,
    }
}

/// Removes `r#` from a name.
fn name_of(ident: &Ident) -> String {
    let name = ident.to_string();
    name.strip_prefix("r#").map(str::to_owned).unwrap_or(name)
}

fn line_of(node: &impl Spanned) -> usize {
    node.span().start().line
}
