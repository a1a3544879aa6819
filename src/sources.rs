//! The files of a configuration: their views and exclusions, each mistake with its file and line.

use std::path::{Path, PathBuf};

use crate::book::view::{View, ViewError, Views};
use crate::conditions::{self, ReadViews, Words};
use crate::misread::{self, Misread};
use crate::spot::{self, ConfigError, Meaning};
use crate::typed::{RawExclude, RawInclude};
use crate::values::Fault;

/// A file as it was read.
#[derive(Debug)]
pub struct Source {
    /// Which.
    pub file: PathBuf,
    /// All of it.
    pub text: String,
}

/// The files whose views count, included ones first; the last is the configuration itself.
#[derive(Debug)]
pub struct Sources {
    /// They.
    pub files: Vec<Source>,
}

impl Source {
    fn wrong(&self, fault: Fault) -> ConfigError {
        let (line, column) = misread::place(&self.text, fault.at);
        ConfigError {
            place: format!("{}:{line}:{column}", self.file.display()),
            message: fault.message,
            fix: fault.fix,
        }
    }
}

impl Sources {
    /// Reads the included files; the configuration itself comes last.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn read(mean: &Meaning<'_>, includes: &[String]) -> Result<Self, ConfigError> {
        let fix = "include = names a file with [[views]] and [exclude], beside the configuration";
        let mut files = Vec::with_capacity(includes.len() + 1);
        for name in includes {
            let file = mean.beside(Path::new(name));
            let text = spot::read(&file, fix)?;
            files.push(Source { file, text });
        }
        files.push(Source { file: mean.file.to_owned(), text: mean.text.to_owned() });
        Ok(Self { files })
    }

    /// All views of all files, checked.
    ///
    /// # Errors
    /// The first mistake, by file and line.
    pub fn views(&self, words: &Words<'_>) -> Result<Views, ConfigError> {
        let mut read: Vec<(&Source, ReadViews)> = Vec::new();
        for source in &self.files {
            let found = conditions::views(&source.text, words).map_err(|at| source.wrong(at))?;
            read.push((source, found));
        }
        let views: Vec<View> = read.iter().flat_map(|(_, read)| read.views.clone()).collect();
        Views::new(&views).map_err(|error| {
            let (source, at) = place_of(&error, &read);
            let message = error.to_string();
            source.map_or_else(
                || ConfigError {
                    place: String::new(),
                    message: message.clone(),
                    fix: "correct the view under [[views]]".to_owned(),
                },
                |source| {
                    let fix = "correct that view under [[views]]".to_owned();
                    source.wrong(Fault { at, message: message.clone(), fix })
                },
            )
        })
    }

    /// Who excludes by which views: the configuration's own word, else that of the last include.
    ///
    /// # Errors
    /// When an included file is no list of views, or an exclusion names none.
    pub fn exclude(
        &self,
        own: Option<RawExclude>,
        views: &Views,
    ) -> Result<RawExclude, ConfigError> {
        let mut told = None;
        for source in self.files.iter().rev().skip(1) {
            let include: RawInclude = toml::from_str(&source.text).map_err(|error| {
                let Misread { line, column, message, .. } = Misread::of(&source.text, &error);
                let place = format!("{}:{line}:{column}", source.file.display());
                let fix = "an included file may hold [[views]] and [exclude] only".to_owned();
                ConfigError { place, message, fix }
            })?;
            told = told.or(include.exclude.map(|exclude| (source, exclude)));
        }
        if let (Some(own), Some(source)) = (own, self.files.last()) {
            told = Some((source, own));
        }
        let Some((source, exclude)) = told else { return Ok(RawExclude::default()) };
        for (key, names) in [("silent", &exclude.silent), ("reading", &exclude.reading)] {
            let Some(name) = names.iter().find(|name| !views.names().any(|view| view == *name))
            else {
                continue;
            };
            let line = misread::line_of(&source.text, &["exclude", key], Some(name));
            let fix = match misread::nearest(name, views.names()) {
                Some(near) => format!("did you mean {near:?}?"),
                None => "declare it under [[views]], or take the name out".to_owned(),
            };
            return Err(ConfigError {
                place: format!("{}:{}", source.file.display(), line.unwrap_or(1)),
                message: format!("exclude.{key}: view {name:?} is not declared"),
                fix,
            });
        }
        Ok(exclude)
    }
}

/// Where the views that an error is about stand.
fn place_of<'a>(
    error: &ViewError,
    read: &[(&'a Source, ReadViews)],
) -> (Option<&'a Source>, usize) {
    let mentioned = |name: &str| {
        read.iter().find_map(|(source, read)| {
            let (_, at) = read.mentions.iter().find(|(named, _)| named == name)?;
            Some((*source, *at))
        })
    };
    let declared = |name: &str| {
        // The last of two that bear the same name.
        read.iter().rev().find_map(|(source, read)| {
            let at = read.views.iter().rposition(|view| view.name == name)?;
            Some((*source, *read.spots.get(at)?))
        })
    };
    let found = match error {
        ViewError::Unknown { named, .. } => mentioned(named),
        ViewError::Cycle(circle) => circle.split(" -> ").nth(1).and_then(mentioned),
        ViewError::Twice(name) | ViewError::Empty(name) => declared(name),
        ViewError::NoSuchView { .. } | ViewError::Unindexed(_) => None,
    };
    match found {
        Some((source, at)) => (Some(source), at),
        None => (read.last().map(|(source, _)| *source), 0),
    }
}
