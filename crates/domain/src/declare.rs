//! The macro that declares a collection.

/// Declares a collection: a constant for each field, the [`Collection`], and the typed view of its fields.
///
/// This is a macro because the typed view is a struct with a member for each field.
macro_rules! collection {
    (
        $(#[$collection_doc:meta])*
        $COLLECTION:ident { $($part:tt)* }

        $(#[$view_doc:meta])*
        view $View:ident, draft $Draft:ident, typed as $DraftFields:ident in $draft_module:ident;

        $(
            $CONST:ident $member:ident: $type:ty = $name:literal, $label:literal, $help:literal, $rule:expr
            $(, default $default:expr)?;
        )+
    ) => {
        $(
            #[doc = concat!("The field `", $name, "`.")]
            pub static $CONST: $crate::Field = $crate::Field {
                name: $name,
                column: stringify!($member),
                label: $label,
                help: $help,
                rule: $rule,
                default: collection!(@default $($default)?),
            };
        )+

        $(#[$collection_doc])*
        pub static $COLLECTION: $crate::Collection = $crate::Collection { fields: &[$(&$CONST),+], $($part)* };

        $(#[$view_doc])*
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(feature = "specta", derive(specta::Type))]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(rename_all = "camelCase")]
        #[expect(missing_docs, reason = "the fields are documented in the contract")]
        pub struct $View {
            $(pub $member: $type,)+
        }

        impl Default for $View {
            /// Creates a view with empty fields, except for defaults.
            fn default() -> $View {
                $View { $($member: $crate::view::FieldType::from_value($CONST.default_value()),)+ }
            }
        }

        impl $View {
            /// Reads the fields from the columns of a record.
            #[must_use]
            pub fn of(record: &$crate::Record) -> $View {
                $View { $($member: $crate::view::FieldType::from_value(record.stored(&$CONST).cloned()),)+ }
            }
        }

        impl $crate::FieldAccess for $View {
            fn get(&self, field: &$crate::Field) -> Option<$crate::FieldValue> {
                match field.name {
                    $($name => $crate::view::FieldType::to_value(&self.$member),)+
                    _ => None,
                }
            }

            fn set(&mut self, field: &$crate::Field, value: Option<$crate::FieldValue>) {
                let value = value.or_else(|| field.default_value());
                match field.name {
                    $($name => self.$member = $crate::view::FieldType::from_value(value),)+
                    _ => {}
                }
            }
        }

        /// Fields as received, not yet validated: an absent field is unchanged, null clears it.
        ///
        /// The fields are raw JSON so that a value of the wrong type gets the message of its field and not a parser's.
        #[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(feature = "specta", derive(specta::Type))]
        #[serde(transparent)]
        pub struct $Draft(
            #[cfg_attr(feature = "specta", specta(type = $draft_module::$DraftFields))]
            pub serde_json::Map<String, serde_json::Value>,
        );

        /// The fields of a draft for typed callers.
        #[cfg(feature = "specta")]
        mod $draft_module {
            use super::*;

            #[derive(serde::Serialize, specta::Type)]
            #[serde(rename_all = "camelCase")]
            pub struct $DraftFields {
                $(
                    #[specta(optional)]
                    $member: <$type as $crate::view::FieldType>::Draft,
                )+
            }
        }
    };
    (@default) => { None };
    (@default $default:expr) => { Some($default) };
}
pub(crate) use collection;
