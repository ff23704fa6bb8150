# Local files are looked into before any job starts, when all rules are known: one may make a file.
from workflow_scripts.config.load import refuse as refuse_problems
from workflow_scripts.inputs.local_files import local_mistakes, unfit_variants

if workflow.is_main_process:
    try:
        refuse_problems(local_mistakes(SETTINGS, is_made_here))
        refuse_problems(unfit_variants(SETTINGS))
    except InputError as error:
        refuse(error)
